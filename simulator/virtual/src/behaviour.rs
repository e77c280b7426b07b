//! What virtual plugins and people bring: values of the declared types, chosen so that conditions go both ways.

use jiff::{SignedDuration, Timestamp};
use lifeboat_core::{
    plan::{Invocation, Plan},
    types::Type,
};
use serde_json::{Map, Value, json};

use super::chance::Chance;

/// When every virtual run starts.
pub(super) fn start() -> Timestamp {
    Timestamp::UNIX_EPOCH + SignedDuration::from_hours(500_000)
}

/// Values that a plan's conditions compare with. One of them, or its neighbour, makes a condition go the other way.
#[derive(Debug, Clone, Default)]
pub(super) struct Compared {
    numbers: Vec<i64>,
    texts: Vec<String>,
}

impl Compared {
    pub(super) fn of(plan: &Plan) -> Self {
        let mut compared = Self::default();
        let of_calls = plan.called.iter().filter_map(|called| called.when.as_ref());
        for condition in plan.steps.iter().filter_map(|step| step.when.as_ref()).chain(of_calls) {
            compared.read(condition.as_str());
        }
        compared
    }

    /// Numbers and quoted texts, wherever they stand.
    fn read(&mut self, expression: &str) {
        let mut rest = expression;
        while let Some(first) = rest.chars().next() {
            let length = if first.is_ascii_digit() {
                let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
                self.numbers.extend(rest[..digits].parse::<i64>().ok());
                digits
            } else if let Some(inner) = rest.strip_prefix(['"', '\'']) {
                let text = inner.split(first).next().unwrap_or_default();
                self.texts.push(text.to_owned());
                (text.len() + 2).min(rest.len())
            } else {
                let word = rest.len() - rest.trim_start_matches(|c: char| c.is_alphanumeric() || c == '_').len();
                word.max(first.len_utf8())
            };
            rest = &rest[length..];
        }
    }

    /// A value of the type.
    pub(super) fn value(&self, chance: &mut Chance, ty: &Type) -> Value {
        match ty {
            Type::String => Value::String(self.text(chance)),
            Type::Bool => Value::Bool(chance.coin()),
            Type::Int | Type::Json => Value::from(self.number(chance)),
            Type::Float => json!(*chance.pick(&[0.0, 0.5, 1.0, 99.5])),
            Type::Timestamp => {
                let minutes = i64::try_from(chance.below(600)).unwrap_or_default();
                Value::String((start() - SignedDuration::from_mins(minutes)).to_string())
            }
            Type::Duration => Value::from(*chance.pick(&["0s", "90s", "5m", "1h30m"])),
            Type::List(item) => (0..chance.below(4)).map(|_| self.value(chance, item)).collect(),
            Type::Map(item) => {
                let names = &["a", "b", "c"][..chance.place(4)];
                Value::Object(names.iter().map(|name| ((*name).to_owned(), self.value(chance, item))).collect())
            }
            Type::Target { .. } => Value::from("target"),
            Type::OneOf(choices) if choices.is_empty() => Value::Object(Map::new()),
            Type::OneOf(choices) => {
                let (name, ty) = chance.pick(choices);
                Value::Object(Map::from_iter([(name.clone(), self.value(chance, ty))]))
            }
            Type::Record(fields) => {
                let present = fields.iter().filter(|field| field.required || chance.coin()).collect::<Vec<_>>();
                let entry = |name: &String, ty: &Type, chance: &mut Chance| (name.clone(), self.value(chance, ty));
                Value::Object(present.into_iter().map(|field| entry(&field.name, &field.ty, chance)).collect())
            }
        }
    }

    fn number(&self, chance: &mut Chance) -> i64 {
        if !self.numbers.is_empty() && chance.coin() {
            let step = i64::try_from(chance.below(3)).unwrap_or_default() - 1;
            return chance.pick(&self.numbers).saturating_add(step).max(0);
        }
        *chance.pick(&[0, 1, 2, 7, 100, 5_000])
    }

    fn text(&self, chance: &mut Chance) -> String {
        if !self.texts.is_empty() && chance.coin() {
            return chance.pick(&self.texts).clone();
        }
        format!("text-{}", chance.below(10))
    }

    /// The outputs of an action that worked.
    pub(super) fn outputs(&self, chance: &mut Chance, action: &Invocation) -> Value {
        Value::Object(action.outputs.iter().map(|(name, ty)| (name.clone(), self.value(chance, ty))).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_of_their_type() {
        let compared = Compared::default();
        for text in [
            "string",
            "bool",
            "int",
            "float",
            "timestamp",
            "duration",
            "json",
            "list<int>",
            "map<string>",
            "one_of{latest: bool, time: timestamp}",
            "record{a: int, b?: list<record{c: string}>}",
        ] {
            let ty: Type = text.parse().unwrap();
            for number in 0..50 {
                let value = compared.value(&mut Chance::of(1, "test", text, number), &ty);
                assert_eq!(ty.check(&value), Ok(()), "{text}: {value}");
            }
        }
    }

    #[test]
    fn what_a_condition_compares_with_comes_up() {
        let mut compared = Compared::default();
        compared.read("steps.find9.outputs.rows > 1000 && inputs.kind == 'soft'");
        assert_eq!((compared.numbers.as_slice(), compared.texts.as_slice()), (&[1000][..], &["soft".to_owned()][..]));
        let values = |ty: Type| (0..100).map(move |number| (number, ty.clone()));
        let drawn: Vec<_> = values(Type::Int)
            .map(|(number, ty)| compared.value(&mut Chance::of(1, "test", "", number), &ty).as_i64().unwrap())
            .collect();
        assert!(drawn.iter().any(|rows| *rows > 1000) && drawn.iter().any(|rows| *rows <= 1000));
    }
}
