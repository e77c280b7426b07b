//! The WebAssembly engine: which features guests may use, how instances are allocated, and the clock that stops loops.

use std::{thread, time::Duration};

use wasmtime::{Config, Engine, InstanceAllocationStrategy, PoolingAllocationConfig};

use crate::{error::HostError, limits::Limits};

/// How often a guest that computes is asked whether it may continue.
pub(crate) const TICK: Duration = Duration::from_millis(10);

/// Core instances one component may consist of: the guest itself and the glue that the encoder adds.
const CORE_INSTANCES_PER_CALL: u32 = 16;

/// Makes the engine and starts its ticker, which ends by itself when the engine is gone.
pub(crate) fn start(limits: &Limits) -> Result<Engine, HostError> {
    let engine = Engine::new(&config(limits)).map_err(|error| HostError::Engine(format!("{error:#}")))?;
    let weak = engine.weak();
    thread::Builder::new()
        .name("lifeboat-epoch".to_owned())
        .spawn(move || {
            loop {
                thread::sleep(TICK);
                match weak.upgrade() {
                    Some(engine) => engine.increment_epoch(),
                    None => return,
                }
            }
        })
        .map_err(|error| HostError::Engine(error.to_string()))?;
    Ok(engine)
}

fn config(limits: &Limits) -> Config {
    let mut config = Config::new();
    config
        .wasm_component_model(true)
        .wasm_memory64(false)
        .wasm_relaxed_simd(false)
        .cranelift_nan_canonicalization(true)
        .epoch_interruption(true)
        .allocation_strategy(InstanceAllocationStrategy::Pooling(pool(limits)));
    config
}

fn pool(limits: &Limits) -> PoolingAllocationConfig {
    let calls = limits.concurrent_calls;
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(calls)
        .total_core_instances(calls * CORE_INSTANCES_PER_CALL)
        .total_memories(calls)
        .total_tables(calls * 4)
        .total_stacks(calls)
        .max_core_instances_per_component(CORE_INSTANCES_PER_CALL)
        .max_memories_per_component(1)
        .max_tables_per_component(4)
        .max_memory_size(limits.memory_bytes)
        .table_elements(limits.table_elements)
        // Enough for the stack and statics of a guest: resetting these pages by copying is cheaper than giving them back.
        .linear_memory_keep_resident(256 << 10)
        .table_keep_resident(16 << 10);
    pool
}
