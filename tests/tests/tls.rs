//! Encrypted connections to PostgreSQL: a certificate is checked against the roots and the name that the bindings give, and
//! nothing is sent to a server that cannot prove itself.

use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt, chown},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};
use lifeboat_tests::stand::{Stand, connect};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

/// Asks one question that only an encrypted connection answers with true.
const RUNBOOK: &str = "
lifeboat: 1
id: TLS-001
name: Encrypted or not
targets:
  primary: { kind: postgres, access: read }
steps:
  - id: ask
    uses: pg/check
    with:
      server: primary
      assertions:
        - { name: encrypted, sql: SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid() }
";

/// A certificate authority and its roots file.
struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    roots: PathBuf,
}

impl Authority {
    fn create(folder: &Path, name: &str) -> Result<Self> {
        let mut params = CertificateParams::new(Vec::new())?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
        let roots = folder.join(format!("{name}.pem"));
        fs::write(&roots, issuer.pem())?;
        Ok(Self { issuer, roots })
    }
}

/// Gives the primary a certificate for that host name, signed by that authority.
async fn encrypt(stand: &Stand, authority: &Authority, host: &str) -> Result<()> {
    let key = KeyPair::generate()?;
    let certificate = CertificateParams::new(vec![host.to_owned()])?.signed_by(&key, &authority.issuer)?;
    let observer = connect(&stand.testbed.observer()).await?;
    let data = PathBuf::from(stand.value(&observer, "SELECT current_setting('data_directory')").await?);
    let owner = fs::metadata(&data)?;
    for (name, content) in [("server.crt", certificate.pem()), ("server.key", key.serialize_pem())] {
        let path = data.join(name);
        fs::write(&path, content)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
        chown(&path, Some(owner.uid()), Some(owner.gid()))?;
    }
    observer.batch_execute("ALTER SYSTEM SET ssl = on").await?;
    stand.testbed.kill_primary().await?;
    stand.testbed.start_primary().await?;
    Ok(())
}

/// Runs the question with the primary's `host` and `tls` replaced; the exit code and what was said.
fn ask(stand: &Stand, host: &str, tls: &str) -> Result<(Option<i32>, String)> {
    let runbook = stand.home.path().join("tls.yaml");
    fs::write(&runbook, RUNBOOK)?;
    let text = fs::read_to_string(&stand.bindings)?;
    let (primary, _) = text.split_once("  recovery:").context("the primary stands first")?;
    let old_host = primary.lines().find(|line| line.trim().starts_with("host:")).context("a host")?;
    let primary = primary.replacen(old_host, &format!("    host: {host}"), 1).replacen("tls: disable", tls, 1);
    ensure!(primary.contains(tls), "the bindings have no `tls: disable` to replace");
    let bindings = stand.home.path().join("tls-bindings.yaml");
    fs::write(&bindings, primary)?;
    let output = stand.lifeboat(&["run"]).arg(&runbook).arg("--bindings").arg(&bindings).output()?;
    Ok((output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned()))
}

fn check(stand: &Stand, host: &str, tls: &str, exit: i32, says: &str) -> Result<()> {
    let (code, text) = ask(stand, host, tls)?;
    ensure!(
        code == Some(exit) && text.contains(says),
        "{host}, `{tls}`: {code:?}, expected {exit} and `{says}`:\n{text}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_must_prove_itself() -> Result<()> {
    let stand = Stand::loaded(1).await?;
    let ours = Authority::create(stand.home.path(), "ours")?;
    let other = Authority::create(stand.home.path(), "other")?;
    let verify = |roots: &Path| format!("tls: verify-full\n    root_cert: {}", roots.display());
    let without = "server does not support TLS";
    check(&stand, "localhost", &verify(&ours.roots), 1, without)?;
    encrypt(&stand, &ours, "localhost").await?;
    check(&stand, "localhost", &verify(&ours.roots), 0, "ask succeeded")?;
    check(&stand, "localhost", "tls: disable", 1, "pg-check-failed")?;
    check(&stand, "localhost", &verify(&other.roots), 1, "pg-tls")?;
    check(&stand, "127.0.0.1", &verify(&ours.roots), 1, "pg-tls")?;
    check(&stand, "localhost", &verify(&stand.home.path().join("nowhere.pem")), 1, "host-tls")?;
    stand.stop().await
}
