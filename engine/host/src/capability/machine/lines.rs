//! The lines of a program's output, filtered at memory speed: what no text of `keep` asks for never reaches the guest.

use std::io;

use memchr::{memchr, memmem::Finder};
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    process::ChildStdout,
    sync::mpsc,
    task::JoinHandle,
};

/// A longer line is cut.
const LINE_BYTES_MAX: usize = 4 << 20;
const CHUNK_BYTES: usize = 256 << 10;
/// Chunks read ahead of the guest.
const CHUNKS_AHEAD: usize = 8;

/// Which lines are kept: all, or those in which every text of at least one list occurs.
pub(super) struct Keep {
    lists: Vec<Vec<Finder<'static>>>,
}

impl Keep {
    pub(super) fn new(lists: &[Vec<String>]) -> Self {
        let finders = |list: &Vec<String>| list.iter().map(|text| Finder::new(text.as_bytes()).into_owned()).collect();
        Self { lists: lists.iter().map(finders).collect() }
    }

    fn admits(&self, line: &[u8]) -> bool {
        self.lists.is_empty() || self.lists.iter().any(|list| list.iter().all(|text| text.find(line).is_some()))
    }
}

/// Splits a stream of chunks into kept lines.
struct Splitter {
    keep: Keep,
    /// The beginning of a line whose end is not there yet.
    partial: Vec<u8>,
}

impl Splitter {
    fn push(&mut self, mut chunk: &[u8], kept: &mut Vec<String>) {
        while let Some(end) = memchr(b'\n', chunk) {
            if self.partial.is_empty() {
                self.take(&chunk[..end], kept);
            } else {
                self.extend(&chunk[..end]);
                let line = std::mem::take(&mut self.partial);
                self.take(&line, kept);
            }
            chunk = &chunk[end + 1..];
        }
        self.extend(chunk);
    }

    fn finish(mut self, kept: &mut Vec<String>) {
        if !self.partial.is_empty() {
            let line = std::mem::take(&mut self.partial);
            self.take(&line, kept);
        }
    }

    fn extend(&mut self, more: &[u8]) {
        let room = LINE_BYTES_MAX.saturating_sub(self.partial.len());
        self.partial.extend_from_slice(&more[..more.len().min(room)]);
    }

    fn take(&self, line: &[u8], kept: &mut Vec<String>) {
        let line = &line[..line.len().min(LINE_BYTES_MAX)];
        if self.keep.admits(line) {
            kept.push(String::from_utf8_lossy(line).into_owned());
        }
    }
}

/// Output that is read ahead of whoever wants it.
pub(super) struct Lines {
    ready: mpsc::Receiver<Vec<String>>,
    reading: Option<JoinHandle<io::Result<()>>>,
}

impl Lines {
    /// The next kept lines; none at the end of the output. An error where the output could not be read to its end: a part of it
    /// must not be taken for the whole.
    pub(super) async fn next(&mut self) -> io::Result<Option<Vec<String>>> {
        if let Some(lines) = self.ready.recv().await {
            return Ok(Some(lines));
        }
        if let Some(reading) = &mut self.reading {
            let read = reading.await;
            self.reading = None;
            read.map_err(io::Error::other)??;
        }
        Ok(None)
    }

    /// Nobody will read any more.
    pub(super) fn close(&mut self) {
        self.ready.close();
    }
}

/// Reads ahead in a task of its own, so that the program, the filter and the guest work at the same time.
pub(super) fn stream(stdout: ChildStdout, keep: Keep) -> Lines {
    // A larger pipe spares the program most of its waiting; the default is fine where the system refuses.
    let _default_size = rustix::pipe::fcntl_setpipe_size(&stdout, 1 << 20);
    read(stdout, keep)
}

fn read(mut stdout: impl AsyncRead + Unpin + Send + 'static, keep: Keep) -> Lines {
    let (sender, ready) = mpsc::channel(CHUNKS_AHEAD);
    let reading = tokio::spawn(async move {
        let mut splitter = Splitter { keep, partial: Vec::new() };
        let mut chunk = vec![0; CHUNK_BYTES];
        loop {
            let count = stdout.read(&mut chunk).await?;
            if count == 0 {
                break;
            }
            let mut kept = Vec::new();
            splitter.push(&chunk[..count], &mut kept);
            if !kept.is_empty() && sender.send(kept).await.is_err() {
                return Ok(());
            }
            if sender.is_closed() {
                return Ok(());
            }
        }
        let mut kept = Vec::new();
        splitter.finish(&mut kept);
        if !kept.is_empty() {
            // Nobody reads any more: fine.
            let _unread = sender.send(kept).await;
        }
        Ok(())
    });
    Lines { ready, reading: Some(reading) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(chunks: &[&[u8]], keep: &[Vec<String>]) -> Vec<String> {
        let mut splitter = Splitter { keep: Keep::new(keep), partial: Vec::new() };
        let mut kept = Vec::new();
        for chunk in chunks {
            splitter.push(chunk, &mut kept);
        }
        splitter.finish(&mut kept);
        kept
    }

    #[test]
    fn lines_do_not_depend_on_where_the_chunks_end() {
        let text = b"one\n\ntwo two\nthree";
        for at in 0..text.len() {
            let (head, rest) = text.split_at(at);
            assert_eq!(split(&[head, rest], &[]), ["one", "", "two two", "three"], "cut at {at}");
        }
    }

    #[test]
    fn a_line_is_kept_for_one_list_whose_texts_all_occur() {
        let list = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        let text: &[u8] = b"rmgr: Heap DELETE a\nrmgr: Heap INSERT a\nrmgr: Transaction COMMIT\nrmgr: Btree DELETE a";
        let kept = split(&[text], &[list(&["Heap ", "DELETE"]), list(&["COMMIT"])]);
        assert_eq!(kept, ["rmgr: Heap DELETE a", "rmgr: Transaction COMMIT"]);
    }

    /// Output that breaks off after a line.
    struct Broken;

    impl AsyncRead for Broken {
        fn poll_read(
            self: std::pin::Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
            _: &mut tokio::io::ReadBuf<'_>,
        ) -> std::task::Poll<io::Result<()>> {
            std::task::Poll::Ready(Err(io::Error::other("the pipe broke")))
        }
    }

    #[tokio::test]
    async fn a_part_of_the_output_is_not_taken_for_the_whole() {
        let mut whole = read(&b"one\ntwo"[..], Keep::new(&[]));
        assert_eq!(whole.next().await.unwrap(), Some(vec!["one".to_owned()]));
        assert_eq!(whole.next().await.unwrap(), Some(vec!["two".to_owned()]));
        assert_eq!(whole.next().await.unwrap(), None);
        let mut part = read(AsyncReadExt::chain(&b"one\n"[..], Broken), Keep::new(&[]));
        assert_eq!(part.next().await.unwrap(), Some(vec!["one".to_owned()]));
        assert_eq!(part.next().await.unwrap_err().to_string(), "the pipe broke");
    }

    #[test]
    fn a_long_line_is_cut() {
        let long = "x".repeat(LINE_BYTES_MAX + 100);
        let (head, rest) = long.split_at(50_000);
        let lines = split(&[head.as_bytes(), rest.as_bytes(), b"\nnext\n"], &[]);
        assert_eq!(lines.iter().map(String::len).collect::<Vec<_>>(), [LINE_BYTES_MAX, 4]);
    }
}
