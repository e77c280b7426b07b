//! What the engine itself costs. One line of JSON a benchmark: `{"name", "value", "unit", "ratio", "bar", "met"}`; the ratio
//! is against the least that any program would have to do on the same machine, so that it can be held against another one.
#![expect(clippy::print_stdout, reason = "the lines on stdout are the result")]
#![expect(clippy::unwrap_used, reason = "a benchmark that cannot be set up has no result")]

mod chain;
mod fan_out;
mod fence;
mod measure;
mod resume;

fn main() {
    if resume::is_loader() {
        return;
    }
    println!("{}", chain::measure());
    resume::measure().iter().for_each(|result| println!("{result}"));
    println!("{}", fan_out::measure());
    println!("{}", fence::measure());
}
