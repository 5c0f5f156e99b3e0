//! In:     a role.
//! Out:    what `ps` and `top` show for this process.
//! Actors: none.
//! Never:  does anything depend on it; where the kernel refuses, the old title stays.

use std::fs::{self, OpenOptions};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;

/// Shows `title` instead of the command line this process was started with. It is cut to the
/// length of that command line.
pub fn set_title(title: &str) {
    let short = title.strip_prefix("hallway: ").unwrap_or(title);
    let _ = fs::write("/proc/self/comm", format!("hallway:{}", short.replace(' ', "-")));
    let _ = write_arguments(title);
}

/// Writes over the kernel's copy of the arguments, through the file that shows this process's own
/// memory: no pointer is needed.
fn write_arguments(title: &str) -> Option<()> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // Fields 48 and 49 of proc(5), counted behind the name, which may hold spaces.
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace().skip(45);
    let (start, end): (u64, u64) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    let bytes = usize::try_from(end.checked_sub(start)?).ok()?;
    let memory = OpenOptions::new().read(true).write(true).open("/proc/self/mem").ok()?;
    let mut text = vec![0; bytes];
    memory.read_exact_at(&mut text, start).ok()?;
    // Under a tool that runs programs inside itself (valgrind) these arguments are the tool's, which it still needs.
    let own = std::env::args_os().next()?;
    if !text.starts_with(own.as_bytes()) || text.get(own.len()) != Some(&0) {
        return None;
    }
    text.clear();
    text.extend_from_slice(title.as_bytes());
    text.resize(bytes, 0);
    *text.last_mut()? = 0;
    memory.write_all_at(&text, start).ok()
}
