//! What `wit-bindgen` makes of the WIT: the types that guests and host share, and the imports.
//!
//! The world has every capability. An import that a plugin's code never reaches is left out when the component is
//! encoded, so the import list of a component is what it can really do.

wit_bindgen::generate!({
    path: [
        "../../wit/plugin@0.1.0",
        "../../wit/runtime@0.1.0",
        "../../wit/postgres@0.1.0",
        "../../wit/machine@0.1.0",
        "../../wit/http@0.1.0",
        "../../wit/endpoint@0.1.0",
    ],
    inline: "
        package lifeboat:guest@0.1.0;

        world guest {
            import lifeboat:runtime/runtime@0.1.0;
            import lifeboat:postgres/postgres@0.1.0;
            import lifeboat:machine/machine@0.1.0;
            import lifeboat:http/http@0.1.0;
            import lifeboat:endpoint/endpoint@0.1.0;
            export lifeboat:plugin/actions@0.1.0;
        }
    ",
    generate_all,
    additional_derives: [PartialEq, Clone],
    pub_export_macro: true,
    export_macro_name: "export_component",
    default_bindings_module: "lifeboat_plugin::bindings",
});
