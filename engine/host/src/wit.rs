//! The component boundary, generated from `wit/`. Private: the rest of the workspace speaks core types only.

wasmtime::component::bindgen!({
    inline: "
        package lifeboat:host@0.1.0;

        world plugin {
            import lifeboat:runtime/runtime@0.1.0;
            import lifeboat:postgres/postgres@0.1.0;
            import lifeboat:machine/machine@0.1.0;
            import lifeboat:http/http@0.1.0;
            import lifeboat:endpoint/endpoint@0.1.0;
            export lifeboat:plugin/actions@0.1.0;
        }
    ",
    world: "lifeboat:host/plugin",
    path: [
        "../../wit/plugin@0.1.0",
        "../../wit/runtime@0.1.0",
        "../../wit/postgres@0.1.0",
        "../../wit/machine@0.1.0",
        "../../wit/http@0.1.0",
        "../../wit/endpoint@0.1.0",
    ],
    imports: { default: async | trappable },
    exports: { default: async },
    with: {
        "lifeboat:postgres/postgres.connection": crate::capability::postgres::Connection,
        "lifeboat:machine/machine.process": crate::capability::machine::Process,
    },
});
