//! The server whose pages are replaced: stopped, looked at, written to and started again on its own machine.

use lifeboat_plugin::{Failure, Machine};

use super::replacement::{ReplacedPage, Replacement};
use crate::{backup::control, call::digest, pages::PAGE_BYTES};

/// The folder of the binding that is the server's data folder.
const DATA: &str = "data";
const STOP_WITHIN_S: &str = "120";
const START_WITHIN_S: &str = "600";

/// A server on its machine.
#[derive(Debug, Clone)]
pub struct ServerFiles<'a, C> {
    /// Runs programs and reads files there.
    pub caps: &'a C,
    /// The machine.
    pub machine: &'a str,
    /// Its data folder.
    pub data: String,
}

/// Fails with `pg-backup-foreign` where the folder is another cluster's.
pub fn check_cluster<C: Machine>(original: &ServerFiles<'_, C>, identifier: u64) -> Result<(), Failure> {
    control::read(original.caps, original.machine, &original.data)?.check_identifier(&original.data, identifier)
}

impl<'a, C: Machine> ServerFiles<'a, C> {
    /// The server whose data folder is the folder `data` of the machine.
    pub fn find(caps: &'a C, machine: &'a str) -> Result<Self, Failure> {
        Ok(Self { caps, machine, data: caps.folder(machine, DATA)? })
    }

    /// A fast shutdown, which writes every page that the server has changed.
    pub fn stop(&self) -> Result<(), Failure> {
        if !self.runs()? {
            return Ok(());
        }
        let ended = self.control(&["stop", "-D", &self.data, "-m", "fast", "-w", "-t", STOP_WITHIN_S])?;
        ended.map_err(|why| Failure::transient("pg-stop-failed", format!("the server does not stop: {why}")))
    }

    /// Starts it and waits until it serves; it writes its log where it is configured to, and until then to this file.
    pub fn start(&self, log: &str) -> Result<(), Failure> {
        if self.runs()? {
            return Ok(());
        }
        let ended = self.control(&["start", "-D", &self.data, "-w", "-t", START_WITHIN_S, "-l", log])?;
        ended.map_err(|why| {
            Failure::permanent("pg-start-failed", format!("the server does not start; see {log}: {why}"))
        })
    }

    fn runs(&self) -> Result<bool, Failure> {
        Ok(self.caps.server_runs(self.machine, &self.data)?)
    }

    fn control(&self, arguments: &[&str]) -> Result<Result<(), String>, Failure> {
        let arguments: Vec<String> = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        let output = self.caps.run(self.machine, "pg_ctl", &arguments, None)?;
        Ok(if output.succeeded() { Ok(()) } else { Err(output.last_lines(4)) })
    }

    /// Keeps the damaged files below these names and puts the pages of the plan in their place; the server must not run. Where a page is
    /// neither the damaged one nor the new one, nothing is written.
    pub fn write(&self, plan: &Replacement, images: &str, kept: &str) -> Result<Vec<String>, Failure> {
        let todo = self.look(plan)?;
        let kept = self.keep(plan, kept)?;
        for (place, run) in todo {
            self.put(run, place, images)?;
        }
        Ok(kept)
    }

    /// The pages that are still to be written, each run with the place of its first page. Fails with `pg-page-changed` where a page is
    /// neither the damaged one nor the new one.
    pub fn look<'p>(&self, plan: &'p Replacement) -> Result<Vec<(usize, &'p [ReplacedPage])>, Failure> {
        let mut todo = Vec::new();
        for (place, run) in plan.runs() {
            let found: Vec<String> = self.read(run)?.iter().map(|page| digest::of(page)).collect();
            let changed = run.iter().zip(&found).find(|(page, found)| **found != page.damaged && **found != page.whole);
            if let Some((page, _)) = changed {
                let message = format!("{} was changed since it was looked at; nothing was written", page.name());
                return Err(Failure::permanent("pg-page-changed", message));
            }
            if run.iter().zip(&found).any(|(page, found)| *found != page.whole) {
                todo.push((place, run));
            }
        }
        Ok(todo)
    }

    /// The pages of a run as they are in the file; the last ones are cut off or empty where it ends before.
    fn read(&self, run: &[ReplacedPage]) -> Result<Vec<Vec<u8>>, Failure> {
        let (path, offset) = (run[0].span().path(), run[0].span().offset());
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", &path));
        let folder = format!("{}/{folder}", self.data);
        let size =
            self.caps.list_folder(self.machine, &folder)?.iter().find(|entry| entry.name == name).map(|it| it.size);
        let there = size.unwrap_or(0).saturating_sub(offset).min((run.len() * PAGE_BYTES) as u64);
        let length = u32::try_from(there).unwrap_or(u32::MAX);
        let read = match length {
            0 => Vec::new(),
            length => self.caps.read_parts(self.machine, &folder, &[name.to_owned()], offset, length)?.concat(),
        };
        let page = |number: usize| {
            let end = read.len().min((number + 1) * PAGE_BYTES);
            read.get(number * PAGE_BYTES..end).unwrap_or_default().to_vec()
        };
        Ok((0..run.len()).map(page).collect())
    }

    /// Copies each file that has a damaged page, before the first one is written; one that is kept already stays as it is.
    fn keep(&self, plan: &Replacement, prefix: &str) -> Result<Vec<String>, Failure> {
        let mut paths: Vec<String> = plan.pages.iter().map(|page| page.span().path()).collect();
        paths.sort();
        paths.dedup();
        let mut kept = Vec::new();
        for path in paths {
            let target = format!("{prefix}{}", path.replace('/', "-"));
            let finished = format!("{target}.kept");
            if !self.exists(&path)? {
                continue;
            }
            if self.caps.read_file(self.machine, &finished).is_err() {
                let arguments =
                    ["-a", "--reflink=auto", "-T", &format!("{}/{path}", self.data), &target].map(str::to_owned);
                let output = self.caps.run(self.machine, "cp", &arguments, None)?;
                if !output.succeeded() {
                    let message = format!("{path} cannot be kept: {}; nothing was written", output.last_lines(2));
                    return Err(Failure::permanent("pg-copy-failed", message));
                }
                self.caps.write_file(self.machine, &finished, b"")?;
            }
            kept.push(target);
        }
        Ok(kept)
    }

    fn put(&self, run: &[ReplacedPage], place: usize, images: &str) -> Result<(), Failure> {
        let span = run[0].span();
        let arguments = [
            format!("if={images}"),
            format!("of={}/{}", self.data, span.path()),
            format!("bs={PAGE_BYTES}"),
            format!("skip={place}"),
            format!("seek={}", span.offset() / PAGE_BYTES as u64),
            format!("count={}", run.len()),
            "conv=notrunc,fsync".to_owned(),
        ];
        let output = self.caps.run(self.machine, "dd", &arguments, None)?;
        let is_right = |(page, found): (&ReplacedPage, &Vec<u8>)| digest::of(found) == page.whole;
        if output.succeeded() && run.iter().zip(&self.read(run)?).all(is_right) {
            return Ok(());
        }
        let message =
            format!("{} pages from {} on cannot be written: {}", run.len(), run[0].name(), output.last_lines(2));
        Err(Failure::permanent("pg-copy-failed", message))
    }

    fn exists(&self, path: &str) -> Result<bool, Failure> {
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        let entries = self.caps.list_folder(self.machine, &format!("{}/{folder}", self.data))?;
        Ok(entries.iter().any(|entry| entry.name == name))
    }
}

#[cfg(test)]
mod tests {
    use lifeboat_plugin::{Effect, fake, fake::ended};

    use super::*;

    const FILE: &str = "/data/base/5/6";

    fn page(byte: u8) -> Vec<u8> {
        vec![byte; PAGE_BYTES]
    }

    /// A machine whose `cp` and `dd` do what the real ones would.
    fn host(pages: &[u8]) -> fake::Machine {
        let host = fake::Machine::default();
        host.add_folder("data", "/data").expect("a folder");
        host.add_folder("work", "/area").expect("a folder");
        host.files().create_folder("/data/base/5").expect("a folder");
        host.files().write(FILE, &pages.iter().flat_map(|byte| page(*byte)).collect::<Vec<_>>()).expect("a file");
        host.files().write("/area/images", &[page(b'A'), page(b'B')].concat()).expect("a file");
        host.add_program("cp", Effect::Read, |files, invocation| {
            let [.., from, to] = &invocation.arguments[..] else { return ended(1, "", "what?") };
            let copied = files.read(from).and_then(|content| files.write(to, &content));
            ended(i32::from(copied.is_err()), "", "")
        });
        host.add_program("dd", Effect::Destroy, |files, invocation| {
            let value = |name: &str| {
                let found = invocation.arguments.iter().find_map(|argument| argument.strip_prefix(name));
                found.unwrap_or_default().to_owned()
            };
            let at = |name: &str| value(name).parse::<usize>().expect("a number") * PAGE_BYTES;
            let images = files.read(&value("if=")).expect("images")[at("skip=")..][..at("count=")].to_vec();
            let mut content = files.read(&value("of=")).unwrap_or_default();
            content.resize(content.len().max(at("seek=") + images.len()), 0);
            content[at("seek=")..][..images.len()].copy_from_slice(&images);
            files.write(&value("of="), &content).expect("written");
            ended(0, "", "")
        });
        host
    }

    /// Pages 1 and 2 of three are damaged (`a`, `b`), and should become `A` and `B`.
    fn plan() -> Replacement {
        let mut plan = Replacement::default();
        let mut images = Vec::new();
        for (block, damaged, whole) in [(1, b'a', b'A'), (2, b'b', b'B')] {
            let planned = ReplacedPage {
                relation: "public.t".to_owned(),
                file: "base/5/6".to_owned(),
                block,
                damaged: digest::of(&page(damaged)),
                whole: digest::of(&page(whole)),
                proof: String::new(),
            };
            plan.add(planned, &page(whole), &mut images);
        }
        plan
    }

    fn written(host: &fake::Machine) -> (Result<Vec<String>, String>, Vec<u8>) {
        let original = ServerFiles { caps: host, machine: "host", data: "/data".to_owned() };
        let kept = original.write(&plan(), "/area/images", "/area/kept-").map_err(|failure| failure.code().to_owned());
        let content = host.files().read(FILE).expect("the file");
        (kept, content.chunks(PAGE_BYTES).map(|page| page[0]).collect())
    }

    #[test]
    fn damaged_pages_are_replaced_and_the_damaged_file_stays_as_it_was() {
        let host = host(b"xab");
        let kept = "/area/kept-base-5-6";
        assert_eq!(written(&host), (Ok(vec![kept.to_owned()]), b"xAB".to_vec()));
        // An attempt that finds its work done writes nothing, and keeps what the first one kept.
        let before = host.invocations().len();
        assert_eq!(written(&host), (Ok(vec![kept.to_owned()]), b"xAB".to_vec()));
        assert_eq!(host.invocations().len(), before);
        assert_eq!(host.files().read(kept).expect("kept")[PAGE_BYTES], b'a');
    }

    #[test]
    fn what_an_attempt_left_half_done_is_finished() {
        let host = host(b"xAb");
        assert_eq!(written(&host).1, b"xAB");
        assert_eq!(host.invocations().iter().filter(|invocation| invocation.program == "dd").count(), 1);
    }

    #[test]
    fn a_page_that_was_changed_meanwhile_keeps_all_from_being_written() {
        let host = host(b"xac");
        assert_eq!(written(&host), (Err("pg-page-changed".to_owned()), b"xac".to_vec()));
        assert!(host.invocations().is_empty(), "{:?}", host.invocations());
    }
}
