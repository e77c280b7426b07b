//! What a drill exercises, as its file says: which systems are recovered from which faults, or watched while one lasts.

use lifeboat_core::{digest::sha256, document::Document};

use super::{
    request::DrillRequest,
    spec::{DrillSpec, Moment},
};
use crate::report::{DrillFile, Exercise, RunbookReport};

impl DrillRequest {
    /// The drill file, as a report names it.
    pub fn drill_file(&self) -> DrillFile {
        DrillFile {
            digest: sha256(self.file.text.as_bytes()),
            every: self.spec.every,
            exercises: exercises(&self.spec),
        }
    }

    /// The runbooks that it executes as they are now, each once. One that has no id is left out: it cannot be executed either.
    pub fn runbook_files(&self) -> Vec<RunbookReport> {
        let runbook = |file| {
            let id = Document::look_into(file).get(&["id"])?;
            Some(RunbookReport { id, digest: sha256(file.text.as_bytes()) })
        };
        self.runbooks.values().filter_map(runbook).collect()
    }
}

/// A recovery brings back the records of the application's store from everything that struck since the recovery before. A look at a
/// standby covers what is open, and what struck since the look before and was healed: it shows how the standby comes out of that. A routine
/// that has to fail covers what is open on the systems that the faults name.
fn exercises(spec: &DrillSpec) -> Vec<Exercise> {
    let (mut exercises, mut recoveries): (Vec<Exercise>, usize) = (Vec::new(), 0);
    let (mut struck, mut open, mut unseen) = (Vec::new(), Vec::new(), Vec::new());
    for moment in &spec.timeline {
        let (system, faults, episode) = match moment {
            Moment::Steady(_) => continue,
            Moment::Fault(fault) => {
                [&mut struck, &mut open, &mut unseen].into_iter().for_each(|list| list.push(fault.kind().to_owned()));
                continue;
            }
            Moment::Heal(kind) => {
                open.retain(|open| open != kind);
                continue;
            }
            Moment::Recover(_) => {
                recoveries += 1;
                open.clear();
                (&spec.workload.store, std::mem::take(&mut struck), Some(recoveries))
            }
            Moment::Routine(routine) => {
                let found = open.iter().filter(|_| routine.fails_with.is_some());
                for fault in found {
                    let exercise = struck_system(spec, fault).filter(|it| !exercises.contains(it));
                    exercises.extend(exercise);
                }
                continue;
            }
            Moment::Lag(lag) => {
                (&lag.of, open.iter().cloned().chain(std::mem::take(&mut unseen)).collect::<Vec<_>>(), None)
            }
        };
        let kind = spec.systems.get(system).map(|system| system.kind().to_owned()).unwrap_or_default();
        for fault in faults {
            let exercise = Exercise { system: system.clone(), kind: kind.clone(), fault, episode };
            if !exercises.contains(&exercise) {
                exercises.push(exercise);
            }
        }
    }
    exercises
}

/// The system that a fault of that kind names.
fn struck_system(spec: &DrillSpec, kind: &str) -> Option<Exercise> {
    let fault = spec.timeline.iter().find_map(|moment| match moment {
        Moment::Fault(fault) if fault.kind() == kind => Some(fault),
        _ => None,
    })?;
    let system = fault.system()?.to_owned();
    let kind_of = spec.systems.get(&system).map(|system| system.kind().to_owned()).unwrap_or_default();
    Some(Exercise { system, kind: kind_of, fault: kind.to_owned(), episode: None })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Every;

    fn told(drill: &str) -> (DrillFile, Vec<String>) {
        let request = DrillRequest::new(drill, "nowhere").unwrap();
        let file = request.drill_file();
        let tell = |it: &Exercise| format!("{} ({}): {} {:?}", it.system, it.kind, it.fault, it.episode);
        let told = file.exercises.iter().map(tell).collect();
        (file, told)
    }

    #[test]
    fn a_recovery_exercises_the_store() {
        let (file, told) = told("dr-003");
        assert_eq!(told, ["primary (postgres): accidental-deletion Some(1)"]);
        assert_eq!(file.every, Some(Every::Quarterly), "as the plan says for which it is held");
    }

    #[test]
    fn looks_exercise_the_standby_by_what_is_open_and_by_what_was_healed_since_the_look_before() {
        let (file, told) = told("standby-lag");
        let expected =
            ["delay", "loss", "partition", "host-crash"].map(|fault| format!("west (standby): {fault} None"));
        assert_eq!(told, expected);
        assert_eq!(file.every, None, "the file does not say");
    }

    #[test]
    fn a_verification_exercises_what_the_faults_damage() {
        let (file, told) = told("bv-001");
        assert_eq!(told, ["recovery (machine): backup-damaged None", "primary (postgres): archive-damaged None"]);
        assert_eq!(file.every, Some(Every::Monthly));
    }

    /// The same digests as a report has of the runbook that was executed: otherwise every result would look outdated.
    #[test]
    fn runbooks_are_named_as_reports_name_them() {
        let request = DrillRequest::new("dr-003", "nowhere").unwrap();
        let [runbook] = request.runbook_files().try_into().unwrap();
        let text = include_str!("../../../workflows/dr-003-accidental-deletion.yaml");
        assert_eq!((runbook.id.as_str(), runbook.digest), ("DR-003", sha256(text.as_bytes())));
    }

    #[test]
    fn a_word_for_how_often_is_one_of_the_language() {
        for (word, accepted) in Every::WORDS.map(|word| (word, true)).into_iter().chain([("weekly", false)]) {
            let mut request = DrillRequest::new("standby-lag", "nowhere").unwrap();
            request.file.text = format!("{}every: {word}\n", request.file.text);
            let spec = DrillSpec::parse(&request.file);
            assert_eq!(spec.is_ok(), accepted, "{word}");
            assert!(spec.is_err() || spec.unwrap().every.map(Every::as_str) == Some(word));
        }
    }
}
