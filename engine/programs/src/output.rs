//! A program that is run to its end.

use std::{
    io,
    process::{Output, Stdio},
};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
    process::Command,
};

use crate::group::Group;

/// Runs a [`crate::command`] to its end, with `input` as its standard input, and returns everything that it printed. Dropped before
/// that, it is killed with everything that it started.
///
/// # Errors
/// It cannot be started, or the operating system cannot say how it ended.
pub async fn output(mut command: Command, input: &[u8]) -> io::Result<Output> {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn()?;
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let mut group = Group::of(child);
    let feed = async {
        if let Some(mut stdin) = stdin {
            // A program that ends without reading says why by its exit code.
            stdin.write_all(input).await.ok();
        }
    };
    let ((), stdout, stderr) = tokio::join!(feed, everything(stdout), everything(stderr));
    Ok(Output { status: group.wait().await?, stdout: stdout?, stderr: stderr? })
}

async fn everything(stream: Option<impl AsyncRead + Unpin>) -> io::Result<Vec<u8>> {
    let mut read = Vec::new();
    if let Some(mut stream) = stream {
        stream.read_to_end(&mut read).await?;
    }
    Ok(read)
}

#[cfg(test)]
mod tests {
    use std::{fs, future::Future, task::Poll};

    use lifeboat_core::bindings::Via;

    use super::*;
    use crate::command;

    fn shell(script: &str, rest: &[&str]) -> Command {
        let words: Vec<String> = ["sh", "-c", script].iter().chain(rest).map(|word| (*word).to_owned()).collect();
        command(&Via::Local, None, &words, &[]).unwrap()
    }

    fn status(pid: &str) -> Option<char> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        stat.rsplit_once(')')?.1.trim_start().chars().next()
    }

    #[tokio::test]
    async fn ctrl_c_does_not_reach_a_program() {
        let said = output(shell("cut -d ' ' -f 5 /proc/$$/stat; echo $$", &[]), b"").await.unwrap();
        let said = String::from_utf8(said.stdout).unwrap();
        let (group, leader) = said.trim().split_once('\n').unwrap();
        assert_eq!(group, leader);
    }

    #[tokio::test]
    async fn a_dropped_program_ends_with_what_it_has_started() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("child");
        let script = "sleep 1000 & echo $! >\"$0.part\"; mv \"$0.part\" \"$0\"; wait";
        let mut running = Box::pin(output(shell(script, &[&file.to_string_lossy()]), b""));
        let child = loop {
            let ended = std::future::poll_fn(|context| Poll::Ready(running.as_mut().poll(context).is_ready())).await;
            assert!(!ended, "it waits for its child");
            if let Ok(pid) = fs::read_to_string(&file) {
                break pid.trim().to_owned();
            }
            tokio::task::yield_now().await;
        };
        assert!(status(&child).is_some_and(|state| state != 'Z'));
        drop(running);
        // A zombie has ended; only its parent has not noticed yet.
        while status(&child).is_some_and(|state| state != 'Z') {
            tokio::task::yield_now().await;
        }
    }

    /// More than a pipe holds, in both directions at once.
    #[tokio::test]
    async fn a_program_may_print_while_it_reads() {
        let input = vec![b'x'; 1 << 20];
        let said = output(shell("cat; echo end >&2; exit 3", &[]), &input).await.unwrap();
        assert_eq!(said.status.code(), Some(3));
        assert_eq!((said.stdout.len(), said.stderr.as_slice()), (input.len(), &b"end\n"[..]));
    }
}
