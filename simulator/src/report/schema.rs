//! The JSON schema of `report.json`.

use serde_json::{Value, json};

/// The schema, draft 2020-12. Further fields are allowed, because fields are added over time.
pub fn schema() -> Value {
    let string = || json!({ "type": "string" });
    let count = || json!({ "type": "integer", "minimum": 0 });
    let uncounted = || json!({ "type": ["integer", "null"], "minimum": 0 });
    let nullable = |ty: &str| json!({ "type": [ty, "null"] });
    let interval = || json!({ "anyOf": [{ "type": "null" }, { "$ref": "#/$defs/interval" }] });
    let instant = || json!({ "type": ["string", "null"], "format": "date-time" });
    let instants = [
        "t_onset",
        "t_detect",
        "t_declare",
        "t_start",
        "t_restored",
        "t_first",
        "t_stable",
        "t_redundant",
        "t_freeze",
        "T_c",
    ];
    let list = |properties: Value| json!({ "type": "array", "items": object(properties) });
    let verdict = json!({ "$ref": "#/$defs/verdict" });
    let top = json!({
        "format": { "const": super::FORMAT },
        "drill": string(),
        "verdict": verdict,
        "runbook": object(json!({ "id": string(), "digest": { "type": "string", "pattern": "^sha256:[0-9a-f]{64}$" } })),
        "run": string(),
        "seed": count(),
        "version": string(),
        "testbed": object(json!({
            "backend": { "enum": ["process", "container"] },
            "systems": list(json!({ "role": string(), "kind": string(), "version": string(), "fidelity": { "enum": ["real", "emulated", "modelled"] } })),
        })),
        "outcome": { "enum": ["succeeded", "succeeded_with_exceptions", "failed", "rolled_back", "aborted", "waiting", "stopped", "not_started"] },
        "instants": object(instants.into_iter().map(|name| (name.to_owned(), instant())).collect::<serde_json::Map<_, _>>().into()),
        "rto": object(json!({
            "objective_s": nullable("number"), "clock": { "enum": ["onset", "detect", "declare"] }, "service_s": interval(),
            "judged_s": interval(), "procedure_s": interval(), "decision_s": interval(), "redundancy_s": interval(), "verdict": verdict,
        })),
        "rpo": object(json!({
            "objective_s": nullable("number"), "actual_s": interval(), "pre_fault_s": interval(), "collateral_s": interval(),
            "residual_damage": uncounted(), "resolution_s": nullable("number"), "verdict": verdict,
        })),
        "writes": object(json!({
            "acknowledged": count(), "failed": count(), "lost": uncounted(), "unknown": count(), "unexpected": uncounted(),
        })),
        "checks": list(json!({
            "name": string(), "kind": { "enum": ["evidence", "result"] }, "passed": { "type": "boolean" },
            "measured": { "type": "boolean" }, "detail": string(),
        })),
        "controls": list(json!({ "name": string(), "turned_red": { "type": "boolean" }, "by": nullable("string"), "detail": string() })),
        "control_run": { "anyOf": [{ "type": "null" }, object(json!({
            "passed": { "type": "boolean" }, "verdict": verdict, "rto_s": interval(), "rpo_s": interval(), "detail": string(),
        }))] },
        "steps": list(json!({
            "id": string(), "state": string(), "attempts": count(), "started": instant(), "seconds": nullable("number"),
            "on_critical_path": { "type": "boolean" },
        })),
        "samples": list(json!({ "run": string(), "verdict": verdict, "rto_s": interval(), "rpo_s": interval() })),
    });
    let mut schema = object(top);
    schema["$schema"] = json!("https://json-schema.org/draft/2020-12/schema");
    schema["title"] = json!("The report of a Lifeboat drill");
    schema["$defs"] = json!({
        "verdict": { "enum": ["met", "missed", "unmeasured"] },
        "interval": object(json!({ "low": { "type": "number", "minimum": 0 }, "high": { "type": ["number", "null"], "minimum": 0 } })),
    });
    schema
}

/// An object in which each of these properties must be there.
fn object(properties: Value) -> Value {
    let required: Vec<String> = properties.as_object().into_iter().flatten().map(|(name, _)| name.clone()).collect();
    json!({ "type": "object", "required": required, "properties": properties })
}
