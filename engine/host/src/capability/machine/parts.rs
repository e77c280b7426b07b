//! Parts of many files by one call: the headers of an archive's segments are read without reading the archive.

use lifeboat_core::action::Effect;

use super::{
    failed,
    files::{self, FILE_BYTES_MAX, RESOLVE},
    place::Place,
};
use crate::{call::CallContext, wit::lifeboat::machine::machine::Error};

/// Reads from its input where the parts begin, how long they are, and the names of the files, one a line. A link could lead out of
/// the folder. The begins of files need only one program for all of them.
const READ_PARTS: &str = r#"cd -- "$real" 2>/dev/null || exit 44
IFS= read -r offset
IFS= read -r length
names=$(cat)
while IFS= read -r name; do
  [ ! -L "$name" ] || exit 42
  [ -f "$name" ] || { echo "$name does not exist or is not a file" >&2; exit 1; }
  [ "$offset" = 0 ] || { tail -c "+$((offset + 1))" -- "$name" | head -c "$length"; } || exit 1
done <<END
$names
END
[ "$offset" != 0 ] || printf '%s\n' "$names" | tr '\n' '\0' | xargs -0 head -q -c "$length" --"#;

/// What `parts` (begin and length) of the files hold.
pub(super) async fn read(
    context: &CallContext,
    machine: &str,
    folder: &str,
    names: &[String],
    (offset, length): (u64, u32),
) -> Result<Vec<Vec<u8>>, Error> {
    let place = Place::enter(context, machine, Effect::Read).await?;
    let allowed = place.allowed(folder, Effect::Read)?;
    if names.is_empty() || length == 0 {
        return Ok(vec![Vec::new(); names.len()]);
    }
    let bytes = names.len().saturating_mul(length as usize);
    if bytes > FILE_BYTES_MAX {
        return Err(failed(
            "machine-file-size",
            format!("{bytes} bytes exceed the limit of {} MiB", FILE_BYTES_MAX >> 20),
        ));
    }
    if let Some(name) = names.iter().find(|name| !is_name(name)) {
        return Err(failed("machine-file", format!("`{name}` is not the name of a file")));
    }
    let input = format!("{offset}\n{length}\n{}\n", names.join("\n")).into_bytes();
    let content =
        files::script(context, &place, &allowed, &[RESOLVE, READ_PARTS], Effect::Read, Some(input), bytes + 1).await?;
    if content.len() != bytes {
        let message = format!("a file in `{folder}` ends before its {length} bytes from {offset} on");
        return Err(failed("machine-file", message));
    }
    Ok(content.chunks_exact(length as usize).map(<[u8]>::to_vec).collect())
}

/// What can be a line of the input, and leads nowhere else.
pub(super) fn is_name(name: &str) -> bool {
    !name.is_empty() && name != "." && name != ".." && !name.starts_with('-') && !name.contains(['/', '\n', '\0'])
}
