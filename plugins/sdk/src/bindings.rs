//! What `wit-bindgen` makes of the WIT: the types that guests and host share, and the imports.
//!
//! The world has every capability. An import that a plugin's code never reaches is left out when the component is
//! encoded, so the import list of a component is what it can really do.

wit_bindgen::generate!({
    path: "../../wit",
    world: "lifeboat:boundary/plugin",
    generate_all,
    additional_derives: [PartialEq, Clone],
    pub_export_macro: true,
    export_macro_name: "export_component",
    default_bindings_module: "lifeboat_plugin::bindings",
});
