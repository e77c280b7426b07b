//! The fake machine keeps the promises that the real one makes.

use std::collections::BTreeMap;

use lifeboat_plugin::{
    Effect, Machine as _, Process as _,
    fake::{Fake, ended},
    machine::{EntryKind, Error},
};
use proptest::prelude::*;

fn fake() -> Fake {
    let fake = Fake::default();
    fake.machine.add_folder("work", "/srv/work").expect("a folder can be made");
    fake
}

#[derive(Debug, Clone)]
enum Step {
    Write(String, Vec<u8>),
    Create(String, Vec<u8>),
    Remove(String),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let name = "[abc]";
    let content = || prop::collection::vec(any::<u8>(), 0..4);
    let step = prop_oneof![
        (name, content()).prop_map(|(name, content)| Step::Write(name, content)),
        (name, content()).prop_map(|(name, content)| Step::Create(name, content)),
        name.prop_map(Step::Remove),
    ];
    prop::collection::vec(step, 0..20)
}

proptest! {
    /// A map from name to content is all that there is to a folder of files; a write that does not fit changes nothing.
    #[test]
    fn a_folder_is_a_map_with_a_size_limit(steps in steps(), capacity in 0_u64..10) {
        let fake = fake();
        fake.machine.files().set_capacity(capacity);
        let mut model: BTreeMap<String, Vec<u8>> = BTreeMap::new();
        for step in steps {
            match step {
                Step::Write(name, content) => {
                    let others: usize = model.iter().filter(|(key, _)| **key != name).map(|(_, it)| it.len()).sum();
                    let fits = others + content.len() <= capacity as usize;
                    let wrote = fake.write_file("m", &format!("/srv/work/{name}"), &content);
                    prop_assert_eq!(wrote.is_ok(), fits, "{:?}", wrote);
                    if fits {
                        model.insert(name, content);
                    }
                }
                Step::Create(name, content) => {
                    let used: usize = model.values().map(Vec::len).sum();
                    let fits = !model.contains_key(&name) && used + content.len() <= capacity as usize;
                    let created = fake.create_file("m", &format!("/srv/work/{name}"), &content);
                    prop_assert_eq!(created.is_ok(), fits, "{:?}", created);
                    if fits {
                        model.insert(name, content);
                    }
                }
                Step::Remove(name) => {
                    fake.remove("m", &format!("/srv/work/{name}")).unwrap();
                    model.remove(&name);
                }
            }
            let listed = fake.list_folder("m", "/srv/work").unwrap();
            let names: Vec<String> = listed.into_iter().map(|entry| entry.name).collect();
            prop_assert_eq!(names, model.keys().cloned().collect::<Vec<_>>());
            for (name, content) in &model {
                prop_assert_eq!(&fake.read_file("m", &format!("/srv/work/{name}")).unwrap(), content);
            }
        }
    }
}

#[test]
fn folders_nest_and_go_with_all_that_is_in_them() {
    let fake = fake();
    fake.create_folder("m", "/srv/work/lb-1/data").unwrap();
    fake.write_file("m", "/srv/work/lb-1/data/PG_VERSION", b"15\n").unwrap();
    fake.write_file("m", "/srv/work/lb-1x", b"").unwrap();
    let entries = fake.list_folder("m", "/srv/work").unwrap();
    let seen: Vec<_> = entries.iter().map(|entry| (entry.name.as_str(), entry.kind)).collect();
    assert_eq!(seen, [("lb-1", EntryKind::Folder), ("lb-1x", EntryKind::File)]);
    fake.remove("m", "/srv/work/lb-1").unwrap();
    assert_eq!(fake.machine.files().paths(), ["/srv/work/lb-1x"]);
    assert!(matches!(fake.read_file("m", "/srv/work/lb-1/data/PG_VERSION"), Err(Error::NotFound(_))));
    assert!(matches!(fake.write_file("m", "/srv/work/none/x", b""), Err(Error::NotFound(_))));
}

#[test]
fn nothing_outside_of_the_allowed_folders_can_be_reached() {
    let fake = fake();
    for path in ["/etc/passwd", "/srv/workx", "/srv/work/../x", "/srv"] {
        assert!(matches!(fake.read_file("m", path), Err(Error::Denied(_))), "{path}");
        assert!(matches!(fake.write_file("m", path, b""), Err(Error::Denied(_))), "{path}");
        assert!(matches!(fake.remove("m", path), Err(Error::Denied(_))), "{path}");
    }
    assert!(matches!(fake.remove("m", "/srv/work"), Err(Error::Denied(_))), "an allowed folder itself stays");
    assert!(matches!(fake.folder("m", "archive"), Err(Error::Denied(_))));
}

#[test]
fn a_program_runs_by_script_within_the_grant() {
    let fake = fake();
    fake.machine.add_program("cp", Effect::Mutate, |files, call| {
        let copied = files.read(&call.arguments[0]).and_then(|content| files.write(&call.arguments[1], &content));
        ended(i32::from(copied.is_err()), "", "")
    });
    fake.write_file("m", "/srv/work/a", b"x").unwrap();
    let arguments = ["/srv/work/a".to_owned(), "/srv/work/b".to_owned()];
    assert!(fake.run("m", "cp", &arguments, None).unwrap().succeeded());
    assert_eq!(fake.read_file("m", "/srv/work/b").unwrap(), b"x");
    assert_eq!(fake.machine.invocations()[0].line(), "cp /srv/work/a /srv/work/b");
    assert!(matches!(fake.run("m", "rm", &arguments, None), Err(Error::Denied(_))), "not in the allow-list");
    fake.grant(Effect::Read);
    assert!(matches!(fake.run("m", "cp", &arguments, None), Err(Error::Denied(_))), "above the grant");
    assert_eq!(fake.machine.invocations().len(), 1);
}

#[test]
fn a_process_delivers_the_lines_that_are_kept_in_portions() {
    let cases: [(&[&[&str]], &[&str]); 4] = [
        (&[], &["a 1", "b 1", "a 2", "c 2"]),
        (&[&["a"]], &["a 1", "a 2"]),
        (&[&["a", "2"], &["c"]], &["a 2", "c 2"]),
        (&[&["z"]], &[]),
    ];
    for (keep, expected) in cases {
        let fake = fake();
        fake.machine.add_program("list", Effect::Read, |_, _| ended(0, "a 1\nb 1\na 2\nc 2\n", "done"));
        let keep: Vec<Vec<String>> =
            keep.iter().map(|all| all.iter().map(|text| (*text).to_owned()).collect()).collect();
        let process = fake.spawn("m", "list", &[], &keep).unwrap();
        let mut lines = Vec::new();
        loop {
            let portion = process.read_lines(1).unwrap();
            assert!(portion.len() <= 1);
            if portion.is_empty() {
                break;
            }
            lines.extend(portion);
        }
        assert_eq!(lines, expected);
        assert_eq!(process.wait().unwrap().stderr, "done");
    }
}
