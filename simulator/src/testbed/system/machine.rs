//! A machine on which copies of a server are restored; it has the server's backups and can read its archive.

use std::{collections::BTreeSet, path::PathBuf, sync::Arc};

use async_trait::async_trait;
use lifeboat_core::{
    bindings::Via,
    document::{Object, Shape, optional, required},
    types::TargetKind,
};
use lifeboat_present::drill::{Fidelity, SystemInfo};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{
    Order, System, SystemKind, SystemPart, WorkEntry,
    programs::{IDENTITY, binding_of, identify, version},
};
use crate::testbed::{
    backup::{BackupInfo, BackupSource},
    error::TestbedError,
    place::{Call, Place},
    roles,
    shelf::Shelf,
    site::{Room, Use},
};

pub(super) const KIND: SystemKind = SystemKind {
    name: "machine",
    parameters: &Object {
        what: "the system `machine`",
        one_of: &[],
        fields: &[
            required("of", "The server for whose copies it is used.", Shape::Name),
            optional("region", "The region of the machine.", Shape::Name),
        ],
    },
    names: &[("of", &["postgres", "standby"])],
    target: TargetKind::Machine,
    part: SystemPart::None,
    build: |order| Box::pin(build(order)),
};

#[derive(Debug, Deserialize)]
struct Parameters {
    of: String,
    region: Option<String>,
}

/// Prints the kind and the name of each entry, and `names` with the name of each small file that names one of the runs.
const LIST_WORK: &str = r#"
cd "$0" || exit 1
find . -mindepth 1 -maxdepth 1 -printf '%y %f\n' || exit 1
for run in "$@"; do
    find . -mindepth 1 -maxdepth 1 -type f -size -4096k -exec grep -lF -e "$run" {} + | sed 's,^\./,names ,'
done
exit 0
"#;

#[derive(Debug)]
struct Machine {
    name: String,
    place: Place,
    region: Option<String>,
    version: String,
    origin: String,
    /// The folder for copies there.
    work: String,
    binding: Value,
    /// The folder for credentials, as seen by this process.
    credentials: PathBuf,
    backups: BackupSource,
}

async fn build(order: Order<'_>) -> Result<Arc<dyn System>, TestbedError> {
    let Parameters { of, region } = order.parameters()?;
    let (site, server, name) = (order.site, order.server(&of)?, order.name);
    let shared = ["archive", "sockets"].map(|folder| format!("{of}/{folder}"));
    let room =
        site.room(order.end(region.clone()), &["work", "backups", "credentials"], &shared, Use::Instances).await?;
    site.options.go_on()?;
    let folder = site.ground.layout.root.join(name);
    let identity = identify(&room.place, &room.path(&format!("{name}/work")), name).await?;
    let (host, port) = site.reach(&room.end, server).await?;
    if room.place.via != Via::Local {
        let password_line = format!("*:*:*:{}:{}\n", roles::ENGINE, site.secrets.engine);
        let script = ["-c", "umask 077; cat > ~postgres/.pgpass"];
        room.place.run("sh", Call { stdin: password_line.as_bytes(), ..Call::new(&script) }).await?;
    }
    Ok(Arc::new(Machine {
        name: name.to_owned(),
        region,
        version: version(&room.place).await?,
        origin: room.origin.clone(),
        work: room.path(&format!("{name}/work")),
        binding: binding(&room, name, &of, &identity),
        credentials: folder.join("credentials"),
        backups: BackupSource {
            place: room.place.clone(),
            bin: room.bin.clone(),
            folder: room.path(&format!("{name}/backups")),
            here: folder.join("backups"),
            host,
            port,
            password: site.secrets.engine.clone(),
        },
        place: room.place,
    }))
}

fn binding(room: &Room, name: &str, of: &str, identity: &str) -> Value {
    let folder = |owner: &str, name: &str, access: &str| {
        (name.to_owned(), json!({ "path": room.path(&format!("{owner}/{name}")), "access": access }))
    };
    let folders: Map<String, Value> = [
        folder(name, "work", "destroy"),
        folder(of, "archive", "read"),
        folder(name, "backups", "write"),
        folder(name, "credentials", "write"),
        folder(of, "sockets", "read"),
    ]
    .into_iter()
    .collect();
    let ports = room.ports.iter().map(|(there, here)| (there.to_string(), json!(format!("{}:{here}", room.here))));
    let mut binding = binding_of(&room.place, &room.bin, folders, identity);
    binding["ports"] = ports.collect::<Map<_, _>>().into();
    binding
}

#[async_trait]
impl System for Machine {
    fn info(&self) -> SystemInfo {
        SystemInfo {
            role: self.name.clone(),
            kind: KIND.name.to_owned(),
            region: self.region.clone(),
            version: self.version.clone(),
            fidelity: Fidelity::Real,
            origin: self.origin.clone(),
        }
    }

    fn binding(&self) -> Option<Value> {
        Some(self.binding.clone())
    }

    /// The entries of the folder for copies, by name, except the file by which the engine identifies the machine. Read as the owner of
    /// the folder, because other users cannot read it.
    async fn inventory(&self, runs: &[&str]) -> Result<Vec<WorkEntry>, TestbedError> {
        let arguments = [&["-c", LIST_WORK, self.work.as_str()], runs].concat();
        let listed = self.place.run("sh", Call::new(&arguments)).await?;
        let lines = |kind: fn(&str) -> bool| {
            listed.lines().filter_map(|line| line.split_once(' ')).filter(move |(letter, _)| kind(letter))
        };
        let naming: BTreeSet<&str> = lines(|letter| letter == "names").map(|(_, name)| name).collect();
        let mut entries: Vec<WorkEntry> = lines(|letter| letter != "names")
            .filter(|(_, name)| *name != IDENTITY)
            .map(|(letter, name)| WorkEntry {
                name: name.to_owned(),
                is_file: letter == "f",
                names_run: naming.contains(name),
            })
            .collect();
        entries.sort();
        Ok(entries)
    }

    fn credentials(&self) -> Option<PathBuf> {
        Some(self.credentials.clone())
    }

    fn backups(&self) -> Option<Shelf> {
        let BackupSource { place, folder, bin, .. } = &self.backups;
        Some(Shelf { place: place.clone(), folder: folder.clone(), bin: bin.clone() })
    }

    async fn back_up(&self, label: &str) -> Option<Result<BackupInfo, TestbedError>> {
        Some(self.backups.take(label).await)
    }
}
