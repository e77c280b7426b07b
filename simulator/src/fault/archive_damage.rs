//! A segment of the archived WAL is damaged where it is kept: it is gone, cut short, or one of its records has a flipped bit. It lies behind
//! the begin of the newest backup, and others follow it.

use std::{collections::BTreeMap, sync::Mutex};

use async_trait::async_trait;
use lifeboat_core::document::{Object, Shape, required};
use serde::Deserialize;

use super::{
    error::FaultError,
    fault::{Bite, DAMAGED, Fault, FaultKind, Scene, Struck, Wanted, parameters},
};
use crate::testbed::{Aside, PageDamage, Shelf};

pub(super) const KIND: FaultKind = FaultKind {
    name: "archive-damaged",
    parameters: &Object {
        what: "the fault `archive-damaged`",
        one_of: &[],
        fields: &[
            required("system", "The server whose archived WAL it is.", Shape::Name),
            required(
                "how",
                "What becomes of a segment.",
                Shape::Word(&["bit-flip", "segment-missing", "segment-short"]),
            ),
        ],
    },
    systems: &[("system", &["postgres"])],
    regions: &[],
    told: &[DAMAGED],
    known: &[],
    make: |value| Ok(Box::new(ArchiveDamaged { parameters: parameters(value)?, aside: Mutex::default() })),
};

#[derive(Debug, Deserialize)]
struct Parameters {
    system: String,
    how: How,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum How {
    BitFlip,
    SegmentMissing,
    SegmentShort,
}

#[derive(Debug)]
struct ArchiveDamaged {
    parameters: Parameters,
    /// The segment as it was, until it is brought back.
    aside: Mutex<Option<Aside>>,
}

#[async_trait]
impl Fault for ArchiveDamaged {
    async fn strike(&self, scene: &Scene<'_>) -> Result<Struck, FaultError> {
        let Parameters { system, how } = &self.parameters;
        let no_effect = |seen: String| FaultError::NoEffect { kind: KIND.name, seen };
        let shelf = self.shelf(scene)?;
        // The last one may be the first that a backup needs; the one before it has records of the application.
        let segments: Vec<String> = shelf.names().await?.into_iter().filter(|name| is_segment(name)).collect();
        let [.., segment, _last] = segments.as_slice() else {
            return Err(no_effect(format!(
                "the archive of {system} has {} segments, and two are needed",
                segments.len()
            )));
        };
        (scene.say)(format!("damaging the segment {segment} in the archive of {system}"));
        if !shelf.reads(segment).await {
            return Err(no_effect(format!("{segment} could not be read before it")));
        }
        let whole = shelf.size(segment).await?;
        let began = scene.clock.now();
        let aside = shelf.put_aside(segment).await?;
        *self.aside.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(aside);
        let what = match how {
            How::BitFlip => {
                shelf.damage_page(segment, 0, PageDamage::BitFlip).await?;
                "with flipped bits"
            }
            How::SegmentMissing => {
                shelf.remove(segment).await?;
                "missing"
            }
            How::SegmentShort => {
                shelf.cut_short(segment).await?;
                "cut to a half"
            }
        };
        let ended = scene.clock.now();
        let is_unusable = match how {
            How::BitFlip => !shelf.reads(segment).await,
            How::SegmentMissing => !shelf.names().await?.contains(segment),
            // Half of a segment can be read to its end where the rest was empty; a server takes only a whole one.
            How::SegmentShort => shelf.size(segment).await? == whole / 2,
        };
        let bite = Bite {
            what: format!("segment {segment} of the archive {what}"),
            count: u64::from(is_unusable),
            wanted: Wanted::Exactly(1),
        };
        let story = bite.to_string();
        let told = BTreeMap::from([(DAMAGED, segment.clone())]);
        Ok(Struck { told, ..Struck::without_damage(KIND.name, began, ended, vec![bite], story) })
    }

    /// The segment is put back as it was.
    async fn heal(&self, scene: &Scene<'_>) -> Result<(), FaultError> {
        let aside = self.aside.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
        if let Some(aside) = aside {
            self.shelf(scene)?.bring_back(&aside).await?;
        }
        Ok(())
    }
}

impl ArchiveDamaged {
    fn shelf(&self, scene: &Scene<'_>) -> Result<Shelf, FaultError> {
        Ok(scene.testbed.server(&self.parameters.system).ok_or(FaultError::NoServer)?.archive())
    }
}

fn is_segment(name: &str) -> bool {
    name.len() == 24 && name.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'A'..=b'F'))
}
