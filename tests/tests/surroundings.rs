//! Clusters and machines that are not as they mostly are: large WAL segments, a disk that is too small.

#![expect(clippy::print_stderr, reason = "a test says loudly what it skips")]

use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Result, ensure};
use lifeboat_simulator::testbed::TestbedOptions;
use lifeboat_tests::stand::{Stand, connect};

/// One customer with all that belongs to him, in a segment that is archived.
async fn delete_one(stand: &Stand) -> Result<Vec<String>> {
    let client = stand.application().await?;
    let before = stand.content().await?;
    client.execute("DELETE FROM customers WHERE id = 7", &[]).await?;
    Ok(before)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_with_large_segments_is_restored() -> Result<()> {
    let stand = Stand::built(TestbedOptions { wal_segment_mib: Some(64), ..TestbedOptions::default() }, 20).await?;
    let before = delete_one(&stand).await?;
    let output = stand.run().output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    ensure!(stand.content().await? == before, "the rows are not back as they were");
    stand.stop().await
}

/// A file system of its own in the place of a folder, for as long as it lives.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// `None` where this user may mount nothing, which is said loudly.
    fn over(folder: &Path, mib: u32) -> Result<Option<Self>> {
        let identity = folder.join(".lifeboat-identity");
        let (content, owner) = (fs::read(&identity)?, fs::metadata(folder)?);
        let options = format!("size={mib}m,uid={},gid={},mode=700", owner.uid(), owner.gid());
        let mounted =
            Command::new("mount").args(["-t", "tmpfs", "-o", &options, "lifeboat-test"]).arg(folder).output()?;
        if !mounted.status.success() {
            eprintln!("SKIPPED: no file system can be mounted: {}", String::from_utf8_lossy(&mounted.stderr).trim());
            return Ok(None);
        }
        let disk = Self(folder.to_owned());
        fs::write(&identity, content)?;
        std::os::unix::fs::chown(&identity, Some(owner.uid()), Some(owner.gid()))?;
        Ok(Some(disk))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: what a failed attempt has left open must not keep the folder. Whether it worked, the testbed's own end tells.
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

/// PostgreSQL takes a `cp` that fails for the end of the archive; here it is the disk, and the way on is another one.
#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_fills_up_during_replay_is_told_as_that() -> Result<()> {
    let stand = Stand::loaded(20).await?;
    let server = connect(&stand.testbed.observer()).await?;
    // Written after the backup, so that the copy has room at first.
    let large = "CREATE TABLE large AS SELECT n, repeat(md5(n::text), 20) AS text FROM generate_series(1, 200000) n";
    server.batch_execute(large).await?;
    delete_one(&stand).await?;
    let Some(disk) = SmallDisk::over(&stand.testbed.work_folder(), 96)? else { return stand.stop().await };
    let output = stand.run().output()?;
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.code() == Some(1), "{}: {told}", output.status);
    ensure!(told.contains("pg-no-space") && told.contains("the disk of the copy is full"), "{told}");
    ensure!(!told.contains("is full; the disk of the copy is full"), "said twice: {told}");
    ensure!(!told.contains("pg-target-not-reached") && !told.contains("the archive ends"), "{told}");
    drop(disk);
    stand.stop().await
}
