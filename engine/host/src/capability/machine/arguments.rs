//! What may stand in a program's arguments: absolute paths only below allowed folders, no way up, no option that runs another
//! program.

use super::folder;

/// Options of `tar` that run programs of the caller's choice.
const TAR_REFUSED: &[&str] = &[
    "--to-command",
    "--checkpoint-action",
    "--use-compress-program",
    "-I",
    "--rsh-command",
    "--rmt-command",
    "--info-script",
    "--new-volume-script",
    "-F",
];

/// Programs that every machine has, and the options that they may be given.
const PLAIN: &[(&str, &[&str])] = &[("cp", &["-a", "--archive", "--reflink=auto", "-T", "--"]), ("sha256sum", &["--"])];

/// Whether every argument keeps to the allowed folders and programs; the text says which does not.
pub(super) fn check(program: &str, arguments: &[String], folders: &[&str], programs: &[&str]) -> Result<(), String> {
    for (position, argument) in arguments.iter().enumerate() {
        if argument.contains('\0') {
            return Err("an argument holds a zero byte".to_owned());
        }
        if argument.contains("..") {
            return Err(format!("the argument `{argument}` holds `..`"));
        }
        if program == "tar" && runs_programs(argument, position) {
            return Err(format!("the option `{argument}` of tar can run other programs"));
        }
        // These run wherever no binding says otherwise, so they get only what is certain to stay below the folders.
        if let Some((_, options)) = PLAIN.iter().find(|(name, _)| *name == program)
            && !argument.starts_with('/')
            && !options.contains(&argument.as_str())
        {
            return Err(format!("`{program}` takes absolute paths and {options:?} here, not `{argument}`"));
        }
        for path in absolute_paths(argument) {
            let path = folder::normal(path);
            if !programs.contains(&path.as_str()) && !folders.iter().any(|folder| folder::is_below(&path, folder)) {
                return Err(format!(
                    "the argument `{argument}` reaches `{path}`, which is below no folder of the binding"
                ));
            }
        }
    }
    Ok(())
}

/// `tar` takes short options in one word, with or without a dash where they come first: `-xIsh`, `xIsh`.
fn runs_programs(argument: &str, position: usize) -> bool {
    let short = !argument.starts_with("--") && (argument.starts_with('-') || position == 0);
    (short && argument.contains(['I', 'F'])) || TAR_REFUSED.iter().any(|option| names_option(argument, option))
}

/// GNU tools take unambiguous beginnings of long options.
fn names_option(argument: &str, option: &str) -> bool {
    if !option.starts_with("--") {
        return argument.starts_with(option);
    }
    let name = argument.split('=').next().unwrap_or_default();
    name.len() >= 4 && option.starts_with(name)
}

/// Every absolute path in an argument: `/a`, `-D/a`, `--target=/a`, `copy='cp /a/%f "%p"'`.
fn absolute_paths(argument: &str) -> impl Iterator<Item = &str> {
    let bytes = argument.as_bytes();
    let short_option = bytes.len() > 2 && bytes[0] == b'-' && bytes[1].is_ascii_alphabetic();
    argument.match_indices('/').filter_map(move |(at, _)| {
        let inside = at > 0 && is_path_byte(bytes[at - 1]) && !(at == 2 && short_option);
        let rest = &argument[at..];
        let end = rest.find(|c: char| c.is_whitespace() || "'\";,():=|<>&".contains(c)).unwrap_or(rest.len());
        (!inside).then_some(&rest[..end])
    })
}

/// Whether a slash after it goes on with a path instead of starting one.
fn is_path_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || !byte.is_ascii() || b"_-.%/+@~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absolute_paths_stay_below_the_folders() {
        let cases = [
            ("pg_waldump", "--start=0/16B3740", true),
            ("pg_waldump", "--path=/archive", true),
            ("pg_waldump", "--path=/archive/", true),
            ("pg_waldump", "/archives/1", false),
            ("pg_waldump", "-p/etc", false),
            ("pg_waldump", "-p/archive/x", true),
            ("pg_ctl", "-orestore_command='cp \"/archive/%f\" \"%p\"'", true),
            ("pg_ctl", "-orestore_command='cp \"/etc/%f\" \"%p\"'", false),
            ("pg_ctl", "-D/jobs//./a/data", true),
            ("pg_ctl", "/jobs/../etc", false),
            ("pg_ctl", "work/../../etc", false),
            ("pg_ctl", "postgresql://host/base", false),
            ("pg_ctl", "base/16384/2619", true),
            ("pg_ctl", "/usr/lib/pg/postgres", true),
            ("pg_ctl", "/usr/lib/pg/postgres2", false),
            ("pg_ctl", "a:/jobs:/etc", false),
            ("tar", "--checkpoint-action=exec=sh", false),
            ("tar", "--checkpoint-act=exec=sh", false),
            ("tar", "-Igzip", false),
            ("tar", "-xIsh", false),
            ("tar", "xIsh", false),
            ("tar", "--extract", true),
            ("cp", "etc/shadow", false),
            ("cp", "-tetc", false),
            ("cp", "/jobs/a", true),
            ("cp", "-a", true),
            ("sha256sum", "etc/shadow", false),
            ("cp", "a\0b", false),
        ];
        for (program, argument, expect) in cases {
            let checked = check(program, &[argument.to_owned()], &["/archive", "/jobs"], &["/usr/lib/pg/postgres"]);
            assert_eq!(checked.is_ok(), expect, "{argument}: {checked:?}");
        }
    }
}
