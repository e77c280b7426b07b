//! The component boundary, generated from `wit/`. Private: the rest of the workspace speaks core types only.

#![expect(missing_docs, unreachable_pub, reason = "generated from WIT, where the documentation is")]

wasmtime::component::bindgen!({
    inline: "
        package lifeboat:host@0.1.0;

        world plugin {
            import lifeboat:runtime/runtime@0.1.0;
            export lifeboat:plugin/actions@0.1.0;
        }
    ",
    world: "lifeboat:host/plugin",
    path: [
        "../../wit/plugin@0.1.0",
        "../../wit/runtime@0.1.0",
    ],
    imports: { default: async | trappable },
    exports: { default: async },
});
