//! What operators and functions take and give, as data. A test holds every line against what CEL does.

use cel::common::ast::operators as cel;

/// What a value is, as far as operators look at it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Bool,
    Int,
    Float,
    String,
    Timestamp,
    Duration,
    List,
    Map,
}

use Kind::{Bool, Duration, Float, Int, List, Map, String, Timestamp};

/// An operator of two operands.
pub(super) struct Binary {
    /// Its name in the tree.
    pub(super) name: &'static str,
    /// How it is written.
    pub(super) written: &'static str,
    /// Left, right, and what comes of them.
    pub(super) takes: &'static [(Kind, Kind, Kind)],
    /// What helps where nothing fits.
    pub(super) help: &'static str,
}

const CONVERT: &str = "both sides must have the same type; convert one with `int(…)`, `double(…)`, `string(…)`, \
     `timestamp(…)` or `duration(…)`";
const WHOLE_OR_NOT: &str = "both sides must be `int`, or both `float`; convert one with `int(…)` or `double(…)`";
const TRUTHS: &str = "both sides must be bools; use a comparison, as in `size(list) > 0` or `text == 'yes'`";

const COMPARED: &[(Kind, Kind, Kind)] = &[
    (Int, Int, Bool),
    (Int, Float, Bool),
    (Float, Int, Bool),
    (Float, Float, Bool),
    (String, String, Bool),
    (Bool, Bool, Bool),
    (Timestamp, Timestamp, Bool),
    (Duration, Duration, Bool),
];

/// Every operator of two operands but those that look at what a list or a map holds, and equality.
pub(super) const BINARY: &[Binary] = &[
    Binary {
        name: cel::ADD,
        written: "+",
        takes: &[
            (Int, Int, Int),
            (Float, Float, Float),
            (String, String, String),
            (List, List, List),
            (Timestamp, Duration, Timestamp),
            (Duration, Timestamp, Timestamp),
            (Duration, Duration, Duration),
        ],
        help: "it adds two numbers of the same type, joins two strings or two lists, and moves a `timestamp` by a \
             `duration`; `string(…)` converts a value to a string",
    },
    Binary {
        name: cel::SUBSTRACT,
        written: "-",
        takes: &[
            (Int, Int, Int),
            (Float, Float, Float),
            (Timestamp, Timestamp, Duration),
            (Timestamp, Duration, Timestamp),
            (Duration, Duration, Duration),
        ],
        help: "it takes two numbers of the same type, or a `timestamp` or `duration` on each side, as in `at - \
             duration('5m')`",
    },
    Binary { name: cel::MULTIPLY, written: "*", takes: &[(Int, Int, Int), (Float, Float, Float)], help: WHOLE_OR_NOT },
    Binary { name: cel::DIVIDE, written: "/", takes: &[(Int, Int, Int), (Float, Float, Float)], help: WHOLE_OR_NOT },
    Binary { name: cel::MODULO, written: "%", takes: &[(Int, Int, Int)], help: "both sides must be `int`" },
    Binary { name: cel::LESS, written: "<", takes: COMPARED, help: CONVERT },
    Binary { name: cel::LESS_EQUALS, written: "<=", takes: COMPARED, help: CONVERT },
    Binary { name: cel::GREATER, written: ">", takes: COMPARED, help: CONVERT },
    Binary { name: cel::GREATER_EQUALS, written: ">=", takes: COMPARED, help: CONVERT },
    Binary { name: cel::LOGICAL_AND, written: "&&", takes: &[(Bool, Bool, Bool)], help: TRUTHS },
    Binary { name: cel::LOGICAL_OR, written: "||", takes: &[(Bool, Bool, Bool)], help: TRUTHS },
];

/// A function, or an operator of one operand.
pub(super) struct Function {
    /// Its name in the tree.
    pub(super) name: &'static str,
    /// How it is written.
    pub(super) written: &'static str,
    /// For each operand what it may be. That on which a function is called comes first.
    pub(super) takes: &'static [&'static [Kind]],
    /// How many of the last operands may be left out.
    pub(super) optional: usize,
    /// What comes of them, where that is one thing.
    pub(super) gives: Option<Kind>,
}

const fn function(name: &'static str, takes: &'static [&'static [Kind]], gives: Kind) -> Function {
    Function { name, written: name, takes, optional: 0, gives: Some(gives) }
}

/// A part of an instant, of which the time zone may be said.
const fn part(name: &'static str) -> Function {
    Function { name, written: name, takes: &[&[Timestamp], &[String]], optional: 1, gives: Some(Int) }
}

const TEXTS: &[&[Kind]] = &[&[String], &[String]];

/// Every function of which CEL does not take just anything.
pub(super) const FUNCTIONS: &[Function] = &[
    Function { name: cel::LOGICAL_NOT, written: "!", takes: &[&[Bool]], optional: 0, gives: Some(Bool) },
    Function { name: cel::NEGATE, written: "-", takes: &[&[Int, Float]], optional: 0, gives: None },
    function("size", &[&[String, List, Map]], Int),
    function("contains", TEXTS, Bool),
    function("startsWith", TEXTS, Bool),
    function("endsWith", TEXTS, Bool),
    function("string", &[&[String, Int, Float, Bool, Timestamp, Duration]], String),
    function("int", &[&[Int, Float, String, Timestamp]], Int),
    function("double", &[&[Int, Float, String]], Float),
    function("bool", &[&[Bool, String]], Bool),
    function("duration", &[&[String, Duration]], Duration),
    function("timestamp", &[&[String, Timestamp, Int]], Timestamp),
    part("getFullYear"),
    part("getMonth"),
    part("getDate"),
    part("getDayOfMonth"),
    part("getDayOfWeek"),
    part("getDayOfYear"),
];
