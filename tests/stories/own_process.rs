//! In:     apps that fork, close descriptors, take streams away and set handlers in their own process.
//! Out:    what they would see without hallway; a worker that cannot be heard any more is replaced.
//! Actors: a hallway with one worker.
//! Never:  does a byte of hallway get into a file of the app.

use super::client::get;
use super::stage::{Stage, wait_until};

const APP: &str = r#"
import atexit, multiprocessing, os, signal, sys, time

caught = []
signal.signal(signal.SIGUSR1, lambda number, frame: caught.append(number))

def app(environ, start_response):
    path, answer = environ["PATH_INFO"], b"fine"
    if path == "/term":
        child = multiprocessing.get_context("fork").Process(target=time.sleep, args=(30,))
        child.start()
        child.terminate()
        child.join(5)
        answer = str(child.exitcode).encode()
    if path == "/exit":
        child = os.fork()
        if child == 0:
            atexit.register(lambda: open("left", "w").close())
            sys.exit(7)
        answer = str(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])).encode()
    if path == "/back":
        child = os.fork()
        if child:
            answer = str(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])).encode()
    if path == "/close":
        os.closerange(3, 4096)
        files = [os.open(f"file-{number}", os.O_WRONLY | os.O_CREAT | os.O_APPEND) for number in range(40)]
        globals()["files"] = files
    if path == "/mute":
        del sys.stderr
        raise ValueError("unheard")
    if path == "/pid":
        answer = str(os.getpid()).encode()
    if path == "/caught":
        answer = str(len(caught)).encode()
    start_response("200 OK", [])
    return [answer]
"#;

#[test]
fn children_of_the_app_are_ordinary_processes() {
    for threads in ["1", "3"] {
        let hallway = Stage::with_app(APP).run(&["-w", "1", "--threads", threads, "app:app"]);
        assert_eq!(get(hallway.address, "/term").text(), "-15", "TERM ends it");
        assert_eq!(get(hallway.address, "/exit").text(), "7", "sys.exit has its code");
        assert!(hallway.stage.as_ref().unwrap().dir.join("left").exists(), "and what is registered for the end runs");
        assert_eq!(get(hallway.address, "/back").text(), "-9", "one that comes back is no worker");
        assert_eq!(get(hallway.address, "/").text(), "fine");
    }
}

#[test]
fn handlers_of_the_app_run_at_once() {
    for threads in ["1", "3"] {
        let hallway = Stage::with_app(APP).run(&["-w", "1", "--threads", threads, "app:app"]);
        let pid: u32 = get(hallway.address, "/pid").text().parse().unwrap();
        for count in 1..=3 {
            super::stage::signal(pid, "USR1");
            // Nothing else wakes it meanwhile.
            std::thread::sleep(std::time::Duration::from_millis(300));
            assert_eq!(get(hallway.address, "/caught").text(), count.to_string());
        }
    }
}

#[test]
fn a_worker_whose_descriptors_were_closed_is_replaced() {
    let hallway = Stage::with_app(APP).run(&["-w", "1", "app:app"]);
    let worker = hallway.children("hallway: app")[0];
    get(hallway.address, "/close");
    wait_until(|| {
        get(hallway.address, "/");
        (!hallway.children("hallway: app").contains(&worker)).then_some(())
    });
    wait_until(|| (get(hallway.address, "/").text() == "fine").then_some(()));
    let dir = &hallway.stage.as_ref().unwrap().dir;
    let written = (0..40).map(|number| std::fs::metadata(dir.join(format!("file-{number}"))).unwrap().len());
    assert_eq!(written.sum::<u64>(), 0, "nothing was written into the app's files");
}

#[test]
fn a_stream_that_was_taken_away_takes_no_worker_along() {
    let mut hallway = Stage::with_app(APP).run(&["-w", "1", "app:app"]);
    let worker = hallway.children("hallway: app");
    assert_eq!(get(hallway.address, "/mute").status, 500);
    hallway.wait_for_line(|line| line.contains("GET /mute failed: ValueError: unheard"));
    assert_eq!(get(hallway.address, "/").text(), "fine");
    assert_eq!(hallway.children("hallway: app"), worker);
}
