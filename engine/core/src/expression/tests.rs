//! What expressions give, and what they refuse.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::Template;
use crate::{
    event::RunStarted,
    name::{RoleName, RunId},
    plan::{InputDeclaration, Invocation, Plan, StepKind},
    scope::{Budget, Scope},
    sketch::{self, Repeat},
    types::Type,
};

fn types(list: &[(&str, &str)]) -> BTreeMap<String, Type> {
    list.iter().map(|(name, ty)| ((*name).to_owned(), ty.parse().expect(ty))).collect()
}

fn plan() -> Plan {
    let inputs =
        types(&[("since", "timestamp"), ("wait", "duration"), ("n", "int"), ("list", "list<int>"), ("text", "string")]);
    let declared = |(name, ty)| (name, InputDeclaration { ty, description: String::new(), default: None });
    let outputs = types(&[("at", "timestamp"), ("rows", "int"), ("tables", "map<record{rows: int}>")]);
    let find = StepKind::Uses(Invocation { outputs, ..sketch::invocation("find", Repeat::Idempotent) });
    let inputs = inputs.into_iter().map(declared).collect();
    Plan { inputs, ..sketch::plan(vec![sketch::step("find-it", &[], find)]) }
}

fn render(template: Value) -> Result<Value, String> {
    let plan = plan();
    let inputs = json!({
        "since": "2026-11-21T04:00:00.5Z", "wait": "1h30m", "n": 3, "list": (0..200).collect::<Vec<_>>(),
        "text": "x".repeat(400_000),
    });
    let targets = BTreeMap::from([(RoleName::new("db").expect("a name"), json!({"port": 5432}))]);
    let run = RunId::new("t-1").expect("a name");
    let started = RunStarted { inputs, targets, ..sketch::started(&plan, &run) };
    let started = (Timestamp::from_second(1_800_000_000).expect("a time"), started);
    let outputs = json!({"at": "2026-11-21T03:00:00Z", "rows": 7, "tables": {"b": {"rows": 2}, "a": {"rows": 1}}});
    let scope = Scope {
        plan: &plan,
        within: None,
        started: &started,
        outputs: &|_| Some(&outputs),
        item: None,
        ending: None,
        budget: &Budget::default(),
    };
    scope.render(&Template::new(template)).map_err(|error| error.to_string())
}

#[test]
fn whole_expressions_keep_their_type_and_others_are_text() {
    for (template, wanted) in [
        ("plain", json!("plain")),
        ("${{ inputs.n }}", json!(3)),
        ("${{ inputs.n + 1 }}", json!(4)),
        ("n is ${{ inputs.n }}!", json!("n is 3!")),
        ("${{ inputs.since }}", json!("2026-11-21T04:00:00.5Z")),
        ("${{ inputs.since - inputs.wait }}", json!("2026-11-21T02:30:00.5Z")),
        ("${{ inputs.since - duration('5m') }}", json!("2026-11-21T03:55:00.5Z")),
        ("${{ inputs.since - steps['find-it'].outputs.at }}", json!("1h500ms")),
        ("${{ inputs.since > steps['find-it'].outputs.at }}", json!(true)),
        ("${{ duration('90s') }}", json!("1m30s")),
        ("${{ inputs.n == 3 ? 'three' : 'other' }}", json!("three")),
        ("${{ size(inputs.list) }}", json!(200)),
        ("${{ inputs.list.exists(x, x == 150) }}", json!(true)),
        ("${{ steps['find-it'].outputs.tables }}", json!({"a": {"rows": 1}, "b": {"rows": 2}})),
        ("${{ {'z': 1, 'a': 2} }}", json!({"a": 2, "z": 1})),
        ("${{ has(steps['find-it'].outputs.nothing) }}", json!(false)),
        ("${{ {'d': 4, 'b': 2, 'e': 5, 'a': 1, 'c': 3}.map(k, k) }}", json!(["a", "b", "c", "d", "e"])),
        ("${{ steps['find-it'].outputs.tables.filter(t, t != 'x') }}", json!(["a", "b"])),
        ("${{ inputs.list.filter(x, x > 197).map(x, x + 1) }}", json!([199, 200])),
        ("${{ targets.db.port }}", json!(5432)),
        ("${{ run.id }} ${{ run.started }}", json!("t-1 2027-01-15T08:00:00Z")),
        ("${{ run.started + duration('1s') }}", json!("2027-01-15T08:00:01Z")),
    ] {
        assert_eq!(render(json!(template)), Ok(wanted), "{template}");
    }
    assert_eq!(render(json!({"a": ["${{ inputs.n }}", 1]})), Ok(json!({"a": [3, 1]})));
}

#[test]
fn what_has_no_value_or_too_large_a_one_is_refused() {
    for (template, wanted) in [
        ("${{ inputs.nothing }}", "`inputs.nothing`: `inputs` has no `nothing`"),
        ("${{ targets.db.host }}", "`targets.db.host`: `targets.db` has no `host`"),
        ("${{ 1 / 0 }}", "`1 / 0`: division by zero"),
        ("${{ 1 % 0 }}", "`1 % 0`: division by zero"),
        ("${{ inputs.n + 'x' }}", "`inputs.n + 'x'`: `+` cannot be applied to a value of type `int` and"),
        ("${{ dyn(inputs.n) > 'x' }}", "`dyn(inputs.n) > 'x'`: `>` cannot be applied to `int` and `string`"),
        ("${{ inputs.list[1000] }}", "`inputs.list[1000]`: the list has no item `1000`"),
        ("${{ {'a': 1}['b'] }}", "`{'a': 1}['b']`: it has no `b`"),
        ("${{ int('many') }}", "`int('many')`: `int` cannot convert the given value"),
        ("${{ timestamp('noon') }}", "`timestamp('noon')`: `timestamp` cannot convert the given value"),
        ("${{ 9223372036854775807 + inputs.n }}", "`9223372036854775807 + inputs.n`: the result of `+` overflows"),
        ("${{ inputs.text + inputs.text + inputs.text }}", "the result is larger than 1048576 bytes"),
        ("${{ inputs.list.map(x, inputs.text) }}", "the expression reads too much data"),
        ("${{ b'bytes' }}", "a result of type bytes cannot be used in a runbook"),
        ("${{ 1.0 / 0.0 }}", "the result `inf` is not a number that JSON can hold"),
    ] {
        let error = render(json!(template)).expect_err(template);
        assert!(error.starts_with(wanted), "{template}: {error}");
    }
    let long = "${{ inputs.text }}".repeat(50);
    let error = render(json!(long)).expect_err("fifty times 400,000 bytes");
    assert!(error.starts_with("its expressions render to more than 16777216 bytes"), "{error}");
    let many = render(json!(vec!["${{ inputs.n }}"; 10_001])).expect_err("one too many");
    assert!(many.starts_with("it needs more than 10000 evaluations"), "{many}");
}

/// A value of each kind, by an input of the plan and its type.
const SAMPLES: &[(&str, &str)] = &[
    ("true", "bool"),
    ("inputs.n", "int"),
    ("2.5", "float"),
    ("'text'", "string"),
    ("inputs.since", "timestamp"),
    ("inputs.wait", "duration"),
    ("[1, 2]", "list<int>"),
    ("steps['find-it'].outputs.tables", "map<record{rows: int}>"),
];

/// What the check before a run says, and whether the expression has a value in a run.
fn both(expression: &str) -> (Vec<String>, Result<Value, String>) {
    let known = |path: &[String]| {
        let ty = match path.join(".").as_str() {
            "inputs.n" => "int",
            "inputs.since" => "timestamp",
            "inputs.wait" => "duration",
            "inputs.text" => "string",
            "inputs.list" => "list<int>",
            "steps.find-it.outputs.tables" => "map<record{rows: int}>",
            _ => return None,
        };
        Some(ty.parse().expect(ty))
    };
    let analysis = super::analyse(expression).expect(expression);
    let (_, found) = super::check_operands(expression, &analysis, &known);
    let found = found.into_iter().map(|misfit| misfit.message).collect();
    (found, render(json!(format!("${{{{ {expression} }}}}"))))
}

/// Whether it failed because of the types, and not because of this very value.
fn is_of_types(error: &str) -> bool {
    let of_this_value =
        ["cannot convert the given value", "has no item", "has no `", "division by zero", "overflows", "range"];
    !of_this_value.iter().any(|word| error.contains(word))
}

/// What CEL evaluates but no author means: it does not look at the other side, compares what is never equal, or adds keys to a list.
fn is_lenient(expression: &str, value: &Value) -> bool {
    expression.contains("||")
        || expression.contains(" in ") && *value == json!(false)
        || expression.starts_with("[1, 2] + steps")
}

#[test]
fn what_the_check_says_of_operands_is_what_an_evaluation_does() {
    let mut expressions = Vec::new();
    for (left, _) in SAMPLES {
        for (right, _) in SAMPLES {
            let binary = super::operators::BINARY.iter().map(|binary| binary.written).chain(["in"]);
            expressions.extend(binary.map(|written| format!("{left} {written} {right}")));
            // A key that is written out is looked for where the reference is checked.
            if *right != "'text'" {
                expressions.push(format!("{left}[{right}]"));
            }
            expressions.extend(["contains", "startsWith", "endsWith"].map(|name| format!("{left}.{name}({right})")));
        }
        expressions.push(format!("!({left})"));
        expressions.push(format!("-({left})"));
        expressions.push(format!("{left} ? 1 : 2"));
        expressions.push(format!("({left}).all(x, true)"));
        let one = super::operators::FUNCTIONS.iter().filter(|function| function.takes.len() - function.optional == 1);
        let one = one.filter(|function| function.written.chars().all(char::is_alphabetic));
        expressions.extend(one.map(|function| match function.optional {
            0 => format!("{}({left})", function.written),
            _ => format!("({left}).{}()", function.written),
        }));
    }
    let mut wrong = Vec::new();
    for expression in expressions {
        match both(&expression) {
            (found, Err(error)) if found.is_empty() && is_of_types(&error) => wrong.push(format!("missed: {error}")),
            (found, Ok(value)) if !found.is_empty() && !is_lenient(&expression, &value) => {
                wrong.push(format!("`{expression}` gives {value}, and not: {found:?}"))
            }
            _ => {}
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn what_cannot_be_done_is_named_with_its_place() {
    let check = |expression: &str, expected: &str, place: &str| {
        let (found, _) = both(expression);
        assert_eq!(found.len(), 1, "{expression}: {found:?}");
        assert!(found[0].contains(expected), "{expression}: {found:?}");
        let known = |path: &[String]| (path[1] == "n").then_some(Type::Int);
        let analysis = super::analyse(expression).expect(expression);
        let (_, misfits) = super::check_operands(expression, &analysis, &known);
        if let Some(misfit) = misfits.first() {
            assert_eq!(&expression[misfit.at.0..misfit.at.1], place);
        }
    };
    check("inputs.n > 'many'", "`>` cannot be applied to an `int` and a `string`", "inputs.n > 'many'");
    check("size(inputs.n)", "`size` cannot be applied to an `int`", "inputs.n");
    check("true + inputs.n", "`+` cannot be applied to a `bool` and an `int`", "true + inputs.n");
    check("!inputs.n", "`!` cannot be applied to an `int`", "inputs.n");
    check("true ? inputs.n : 'x'", "the two results of `?` are an `int` and a `string`", "'x'");
    check("'a' in 'abc'", "`in` cannot be applied to a `string`", "'a' in 'abc'");
    check("inputs.since == '2026-11-21'", "a `timestamp` is never equal to a `string`", "");
    check("inputs.list.exists(x, x == 'a')", "an `int` is never equal to a `string`", "");
    check("inputs.list.filter(x, x > 1).exists(x, x.name == 1)", "a value of type int has no `name`", "");
    check("size('a', 'b')", "`size` takes 1 operand", "size('a', 'b')");
    for fine in
        ["dyn(inputs.n) > 'many'", "inputs.n > 1.5", "inputs.n == 1 && inputs.list.all(x, x > 0)", "has(inputs.n)"]
    {
        assert_eq!(both(fine).0, Vec::<String>::new(), "{fine}");
    }
}

/// Whatever cannot be evaluated is told in our words: none of the library's types, variants and codes.
#[test]
fn no_raw_text_of_the_library_reaches_a_person() {
    let raw = [
        "Int(", "String(", "UInt(", "Float(", "List(", "Map(", "Error", "overload", "No such", "_+_", "_[_]", "{:?}",
        "Arc",
    ];
    let values = ["1", "'x'", "2.5", "true", "null", "[1]", "{'a': 1}", "inputs.since", "inputs.wait", "b'y'"];
    for left in values {
        for right in values {
            for operator in ["+", "-", "*", "/", "%", "<", "in", "&&", "=="] {
                let Err(error) = render(json!(format!("${{{{ dyn({left}) {operator} dyn({right}) }}}}"))) else {
                    continue;
                };
                assert!(raw.iter().all(|text| !error.contains(text)), "{error}");
            }
            for call in ["[RIGHT]", ".matches(RIGHT)", ".startsWith(RIGHT)", ".contains(RIGHT)", ".nothing"] {
                let call = call.replace("RIGHT", &format!("dyn({right})"));
                let Err(error) = render(json!(format!("${{{{ dyn({left}){call} }}}}"))) else { continue };
                assert!(raw.iter().all(|text| !error.contains(text)), "{error}");
            }
        }
        for function in ["int", "uint", "double", "string", "timestamp", "duration", "size", "bool"] {
            let Err(error) = render(json!(format!("${{{{ {function}(dyn({left})) }}}}"))) else { continue };
            assert!(raw.iter().all(|text| !error.contains(text)), "{error}");
        }
    }
}
