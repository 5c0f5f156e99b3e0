//! In:     directories of users that nobody else is, and what such users could put there.
//! Out:    what is opened, and what is not.
//! Actors: the file system; as root where the test is root.
//! Never:  does a test touch what it has not made.

use super::*;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};

/// A directory of this test's own, and what is beneath it.
struct Ground(PathBuf);

impl Ground {
    fn new(name: &str) -> Ground {
        let path = std::env::temp_dir().join(format!("hallway-paths-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        fs::write(path.join("secret"), "root's").unwrap();
        mode(&path.join("secret"), 0o600);
        Ground(path)
    }

    fn make(&self, name: &str, owner: Option<u32>, bits: u32) -> PathBuf {
        let path = self.0.join(name);
        fs::create_dir_all(&path).unwrap();
        mode(&path, bits);
        if let Some(owner) = owner.filter(|_| is_root()) {
            chown(&path, Some(owner), Some(owner)).unwrap();
        }
        path
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn mode(path: &Path, bits: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(bits)).unwrap();
}

fn text(path: &Path) -> io::Result<String> {
    read_text(path, 1024)
}

/// Users that nobody else is.
const SHOP: u32 = 54_321;
const OTHER: u32 = 54_322;

#[test]
fn a_link_of_a_service_user_leads_to_nothing_that_it_may_not_read() {
    let ground = Ground::new("read");
    let theirs = ground.make("theirs", Some(SHOP), 0o755);
    fs::write(theirs.join("own"), "own").unwrap();
    symlink(ground.0.join("secret"), theirs.join("link")).unwrap();
    symlink("../secret", theirs.join("up")).unwrap();
    symlink(&ground.0, theirs.join("swapped")).unwrap();
    symlink("/proc/self/environ", theirs.join("environ")).unwrap();
    fs::write(ground.0.join("open"), "open").unwrap();
    symlink("../open", theirs.join("fair")).unwrap();
    assert_eq!(text(&theirs.join("own")).unwrap(), "own");
    assert_eq!(text(&theirs.join("fair")).unwrap(), "open", "what it may read itself");
    if !is_root() {
        return assert_eq!(text(&theirs.join("link")).unwrap(), "root's");
    }
    fs::hard_link(ground.0.join("secret"), theirs.join("hard")).unwrap();
    for name in ["link", "up", "swapped/secret", "environ", "hard"] {
        let said = text(&theirs.join(name)).unwrap_err().to_string();
        assert!(said.contains(&format!("belongs to the user '{SHOP}'")), "{name}: {said}");
    }
    // Root's own links are followed, as of certificates that are renewed.
    symlink(theirs.join("own"), ground.0.join("ours")).unwrap();
    symlink("secret", ground.0.join("live")).unwrap();
    assert_eq!(
        (text(&ground.0.join("ours")).unwrap(), text(&ground.0.join("live")).unwrap()),
        ("own".into(), "root's".into())
    );
    symlink("round", ground.0.join("round")).unwrap();
    assert_eq!(Errno::from_io_error(&text(&ground.0.join("round")).unwrap_err()), Some(Errno::LOOP));
    assert_eq!(fs::read_to_string(ground.0.join("secret")).unwrap(), "root's", "root has its rights again");
}

#[test]
fn a_log_is_written_where_it_is_and_nowhere_else() {
    let ground = Ground::new("log");
    let theirs = ground.make("logs", Some(SHOP), 0o755);
    let log = theirs.join("access.log");
    drop(open_log(&log).unwrap());
    let meta = fs::metadata(&log).unwrap();
    assert_eq!(meta.mode() & 0o777, 0o640);
    let mut names = vec![("fifo", "no file")];
    if is_root() {
        assert_eq!(meta.uid(), SHOP, "it is whose directory it is in");
        fs::hard_link(ground.0.join("secret"), theirs.join("hard")).unwrap();
        names.extend([("link", "may not open it"), ("dangling", "may not open it"), ("hard", "may not open it")]);
    }
    symlink(ground.0.join("secret"), theirs.join("link")).unwrap();
    symlink(ground.0.join("made"), theirs.join("dangling")).unwrap();
    rustix::fs::mknodat(rustix::fs::CWD, theirs.join("fifo"), FileType::Fifo, 0o666.into(), 0).unwrap();
    mode(&theirs.join("fifo"), 0o666);
    for (name, why) in names {
        let said = open_log(&theirs.join(name)).unwrap_err().to_string();
        assert!(said.contains(why), "{name}: {said}");
    }
    assert!(!ground.0.join("made").exists() && fs::read_to_string(ground.0.join("secret")).unwrap() == "root's");
    assert!(open_log(Path::new("/dev/null")).is_ok() && open_log(&theirs).is_err());
}

/// Directories as `/tmp`, and those of a group.
#[test]
fn what_others_put_into_a_shared_directory_is_theirs() {
    if !is_root() {
        return drop(open_log(Path::new("/dev/null")).unwrap());
    }
    let ground = Ground::new("shared");
    for (name, bits) in [("sticky", 0o1777), ("open", 0o777), ("group", 0o775)] {
        let shared = ground.make(name, None, bits);
        chown(&shared, Some(0), Some(OTHER)).unwrap();
        fs::write(shared.join("ours"), "ours").unwrap();
        fs::write(shared.join("theirs"), "theirs").unwrap();
        mode(&shared.join("theirs"), 0o600);
        chown(shared.join("theirs"), Some(SHOP), Some(SHOP)).unwrap();
        symlink(ground.0.join("secret"), shared.join("planted")).unwrap();
        rustix::fs::chownat(
            rustix::fs::CWD,
            shared.join("planted"),
            Some(rustix::fs::Uid::from_raw(SHOP)),
            None,
            rustix::fs::AtFlags::SYMLINK_NOFOLLOW,
        )
        .unwrap();
        symlink(ground.0.join("secret"), shared.join("root_link")).unwrap();
        fs::hard_link(ground.0.join("secret"), shared.join("hard")).unwrap();
        assert_eq!(text(&shared.join("ours")).unwrap(), "ours", "{name}");
        assert_eq!(text(&shared.join("theirs")).unwrap(), "theirs", "{name}: with the rights of who put it there");
        assert!(text(&shared.join("planted")).is_err() && text(&shared.join("hard")).is_err(), "{name}");
        // Secrets of Kubernetes are such links.
        assert_eq!(text(&shared.join("root_link")).is_ok(), bits == 0o1777, "{name}");
        fs::remove_file(shared.join("hard")).unwrap();
        drop(open_log(&shared.join("new.log")).unwrap());
        assert_eq!(fs::metadata(shared.join("new.log")).unwrap().uid(), 0);
    }
}

#[test]
fn who_is_on_the_way_is_told() {
    let ground = Ground::new("way");
    let theirs = ground.make("theirs", Some(SHOP), 0o755);
    let below = ground.make("theirs/below", None, 0o755);
    assert_eq!(stranger_on_the_way(&ground.0.join("secret")).unwrap(), None);
    let found = stranger_on_the_way(&below.join("x")).unwrap();
    assert_eq!(found, is_root().then(|| (theirs.clone(), SHOP)), "also where root owns what is below");
    let made = theirs.join("made");
    as_owner_of_directory(&made, || fs::write(&made, "")).unwrap().unwrap();
    let own = if is_root() { SHOP } else { rustix::process::geteuid().as_raw() };
    assert_eq!(fs::metadata(&made).unwrap().uid(), own);
}

#[test]
fn nothing_is_read_without_end() {
    let ground = Ground::new("end");
    let long = ground.0.join("long");
    fs::write(&long, "x".repeat(1025)).unwrap();
    assert!(text(&long).unwrap_err().to_string().ends_with("longer than 1 KiB"));
    assert!(text(Path::new("/dev/zero")).unwrap_err().to_string().ends_with("no regular file"));
    fs::write(&long, [0xff]).unwrap();
    assert!(text(&long).unwrap_err().to_string().ends_with("byte 0 is not UTF-8"));
    assert_eq!(text(&ground.0.join("none")).unwrap_err().kind(), io::ErrorKind::NotFound);
}

#[test]
fn of_a_list_of_directories_the_first_counts() {
    for (list, first) in [("/run/a", "/run/a"), ("/run/a:/run/b", "/run/a"), (":/run/b", "/run/b"), (":", "")] {
        assert_eq!(first_of(list.into()), Path::new(first), "{list}");
    }
}
