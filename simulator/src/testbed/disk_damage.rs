//! Damage to pages of a server's files, as a disk or a torn write leaves it. The server must not run: it would write its own copy of a
//! page over the damage.

use serde::{Deserialize, Serialize};

use super::{
    error::TestbedError,
    place::{Call, Place},
    server::Server,
};

/// PostgreSQL's own; a cluster of a testbed has no other.
const PAGE_BYTES: usize = 8192;
/// A relation is cut into files of so many pages.
const PAGES_OF_A_FILE: u64 = 131_072;
/// The bytes of a page's header: position in the WAL, checksum, bounds of its content.
const HEADER_BYTES: usize = 24;
/// Where bits are flipped: in the content of a page, and never in its header.
const FLIPPED: [usize; 3] = [4000, 6000, 8000];

/// What becomes of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PageDamage {
    /// Three bits of its content are flipped: its header, and with it its position in the WAL, is as it was.
    BitFlip,
    /// Its header is garbage.
    Header,
    /// It is all zeros, which PostgreSQL takes for a page that was never used.
    Zeroed,
}

impl PageDamage {
    pub(super) fn of(self, mut page: Vec<u8>) -> Vec<u8> {
        match self {
            Self::BitFlip => FLIPPED.iter().for_each(|at| page[*at] ^= 0x10),
            Self::Header => page[..HEADER_BYTES].fill(0xde),
            Self::Zeroed => page.fill(0),
        }
        page
    }
}

impl Server {
    /// Damages a page of a file of its data folder (`base/16384/16394`), by its number in the relation.
    ///
    /// # Errors
    /// Where the page cannot be read or written.
    pub async fn damage_page(&self, file: &str, block: u64, damage: PageDamage) -> Result<(), TestbedError> {
        self.change_page(file, block, |page| damage.of(page)).await
    }

    /// Marks entries of a page of an index as dead, by their numbers from 1 on: no search finds them any more. The page has a wrong checksum
    /// until [`Server::renew_checksums`].
    ///
    /// # Errors
    /// Where the page cannot be read or written.
    pub async fn kill_entries(&self, file: &str, block: u64, entries: &[usize]) -> Result<(), TestbedError> {
        self.change_page(file, block, |mut page| {
            for entry in entries {
                // `LP_DEAD` in the upper half of the pointer; the other bit of it is there already.
                page[HEADER_BYTES + 4 * (entry - 1) + 2] |= 1;
            }
            page
        })
        .await
    }

    /// Gives every page of the server the checksum of what is in it.
    ///
    /// # Errors
    /// If the program fails.
    pub async fn renew_checksums(&self) -> Result<(), TestbedError> {
        let (program, data) = (format!("{}/pg_checksums", self.bin), self.path("data"));
        for what in ["--disable", "--enable"] {
            self.place.run(&program, Call::new(&[what, "--no-sync", "--pgdata", &data])).await?;
        }
        Ok(())
    }

    async fn change_page(
        &self,
        file: &str,
        block: u64,
        change: impl FnOnce(Vec<u8>) -> Vec<u8>,
    ) -> Result<(), TestbedError> {
        let (path, place) = match block / PAGES_OF_A_FILE {
            0 => (self.path(&format!("data/{file}")), block),
            segment => (self.path(&format!("data/{file}.{segment}")), block % PAGES_OF_A_FILE),
        };
        let page = read(&self.place, &path, place).await?;
        write(&self.place, &path, place, &change(page)).await
    }
}

pub(super) async fn read(place: &Place, path: &str, block: u64) -> Result<Vec<u8>, TestbedError> {
    let skip = (block * PAGE_BYTES as u64).to_string();
    let count = PAGE_BYTES.to_string();
    let text = place.run("od", Call::new(&["-An", "-v", "-tu1", "-j", &skip, "-N", &count, path])).await?;
    let page: Result<Vec<u8>, _> = text.split_whitespace().map(str::parse).collect();
    page.ok().filter(|page| page.len() == PAGE_BYTES).ok_or_else(|| TestbedError::Program {
        program: "od".to_owned(),
        message: format!("{path} has no page {block}"),
    })
}

pub(super) async fn write(place: &Place, path: &str, block: u64, page: &[u8]) -> Result<(), TestbedError> {
    let (of, bytes, seek) = (format!("of={path}"), format!("bs={PAGE_BYTES}"), format!("seek={block}"));
    let arguments = [&of, &bytes, &seek, "count=1", "iflag=fullblock", "conv=notrunc,fsync", "status=none"];
    place.run("dd", Call { stdin: page, ..Call::new(&arguments) }).await.map(drop)
}

#[cfg(test)]
mod tests {
    use lifeboat_core::bindings::Via;

    use super::*;

    #[test]
    fn each_kind_of_damage_leaves_what_it_says() {
        let page: Vec<u8> = (0..PAGE_BYTES).map(|at| u8::try_from(at % 251).unwrap_or_default()).collect();
        let differing = |damage: PageDamage| {
            let damaged = damage.of(page.clone());
            assert_eq!(damaged.len(), PAGE_BYTES);
            (0..PAGE_BYTES).filter(|at| damaged[*at] != page[*at]).collect::<Vec<_>>()
        };
        assert_eq!(differing(PageDamage::BitFlip), FLIPPED);
        assert!(differing(PageDamage::Header).iter().all(|at| *at < HEADER_BYTES));
        assert!(differing(PageDamage::Zeroed).len() > PAGE_BYTES * 9 / 10);
    }

    #[tokio::test]
    async fn a_page_is_written_in_its_place_and_nothing_else_changes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("relation");
        let before = vec![7; 3 * PAGE_BYTES];
        std::fs::write(&path, &before).unwrap();
        let path = path.to_string_lossy();
        let place = Place { via: Via::Local, user: None };
        let page = read(&place, &path, 1).await.unwrap();
        write(&place, &path, 1, &PageDamage::Zeroed.of(page)).await.unwrap();
        let after = std::fs::read(&*path).unwrap();
        let expected = [vec![7; PAGE_BYTES], vec![0; PAGE_BYTES], vec![7; PAGE_BYTES]].concat();
        assert!(after == expected, "{} bytes", after.len());
        read(&place, &path, 3).await.expect_err("behind the end");
    }
}
