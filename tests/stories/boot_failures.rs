//! In:     apps that cannot be loaded.
//! Out:    the reason in Python's own words, and exit code 4; 3 where not even Python starts.
//! Actors: hallways that end by themselves.
//! Never:  does a broken start leave a process behind.

use super::stage::{Stage, wait_until};

#[test]
fn an_import_error_shows_its_traceback() {
    let stage = Stage::with_app("import helper\napp = helper.app\n").file("helper.py", "import no_such_package\n");
    let (code, said) = stage.run_to_end(&["-w", "2", "--bind", "127.0.0.1:0", "app:app"]);
    assert_eq!(code, Some(4), "{said}");
    assert!(said.contains("Traceback (most recent call last):"), "{said}");
    assert!(said.contains("helper.py\", line 1, in <module>"), "{said}");
    assert!(said.contains("ModuleNotFoundError: No module named 'no_such_package'"), "{said}");
    assert!(said.contains("the app failed to load: app:app in "), "{said}");
    assert!(!said.contains("importlib") && !said.contains("<string>"), "only the user's own frames: {said}");
}

#[test]
fn a_missing_name_is_answered_with_the_near_one() {
    let stage = Stage::with_app("def application(environ, start_response): ...\n");
    let (code, said) = stage.run_to_end(&["--bind", "127.0.0.1:0", "app:app"]);
    assert_eq!(code, Some(4), "{said}");
    assert!(said.contains("the module 'app' has no 'app'; did you mean 'app:application'?"), "{said}");
}

#[test]
fn a_missing_module_is_named_with_where_it_was_looked_for() {
    let (code, said) = Stage::with_app("").run_to_end(&["--bind", "127.0.0.1:0", "shop.wsgi:app"]);
    assert_eq!(code, Some(4), "{said}");
    assert!(said.contains("there is no module 'shop' in ") && said.contains("is --chdir right?"), "{said}");
    assert!(!said.contains("was ended by signal"), "what hallway ends itself is no news: {said}");
}

#[test]
fn what_is_not_callable_is_refused() {
    let (code, said) = Stage::with_app("app = 7\n").run_to_end(&["--bind", "127.0.0.1:0", "app:app"]);
    assert!(code == Some(4) && said.contains("'app:app' is not callable: it is 7"), "{said}");
}

#[test]
fn a_worker_that_dies_while_it_loads_is_a_boot_failure() {
    let stage = Stage::with_app("import os\nos._exit(9)\n");
    let (code, said) = stage.run_to_end(&["--bind", "127.0.0.1:0", "app:app"]);
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("ended with exit code 9 before the app was loaded"), "{said}");
}

#[test]
fn a_log_that_cannot_be_written_is_told_before_anything_starts() {
    let (code, said) = Stage::with_app("").run_to_end(&["--access-log", "/no/such/directory/x.log", "app:app"]);
    assert!(code == Some(2) && said.contains("--access-log /no/such/directory/x.log: this file cannot be"), "{said}");
}

#[test]
fn an_app_that_takes_long_to_load_is_told_of() {
    let mut hallway = Stage::with_app(
        "import time\ntime.sleep(3)\ndef app(environ, start_response): start_response('200 OK', []); return []\n",
    )
    .run(&["-w", "1", "app:app"]);
    hallway.wait_for_line(|line| line.contains("loading app:app"));
}

#[test]
fn a_missing_interpreter_is_named() {
    let stage = Stage::with_app("");
    let (code, said) = stage.run_to_end(&["--bind", "127.0.0.1:0", "--python", "no-such-python", "app:app"]);
    assert!(code == Some(3) && said.contains("there is no interpreter 'no-such-python'"), "{said}");
    let (code, said) = Stage::with_app("").run_to_end(&["--python", "./no/such", "app:app"]);
    assert!(code == Some(2) && said.contains("--python ./no/such: there is no interpreter"), "{said}");
}

#[test]
fn an_app_that_breaks_later_does_not_end_what_serves() {
    let mut hallway =
        Stage::with_app("def app(environ, start_response): start_response('200 OK', []); return [b'ok']\n")
            .run(&["-w", "1", "app:app"]);
    let path = hallway.stage.as_ref().unwrap().dir.join("app.py");
    std::fs::write(&path, "import no_such_package\n").unwrap();
    let worker = hallway.children("hallway: app")[0];
    super::stage::signal(worker, "KILL");
    hallway.wait_for_line(|line| line.contains("the app failed to load"));
    std::fs::write(&path, "def app(environ, start_response): start_response('200 OK', []); return [b'mended']\n")
        .unwrap();
    wait_until(|| {
        let answer = super::client::get(hallway.address, "/");
        (answer.text() == "mended").then_some(())
    });
}

#[test]
fn what_would_fail_on_every_request_is_refused_at_the_start() {
    let app = "class Api:\n    async def __call__(self, scope, receive, send): ...\n\napi = Api()\n\
               async def asgi(scope, receive, send): ...\n\
               def create_app(): return lambda environ, start_response: []\n\
               def with_name(name, debug=False): ...\n\
               def plain(environ, start_response): ...\n\
               class Wrapped:\n    def __call__(self, *arguments): ...\n\
               def odd(): return with_name\n";
    for (target, said) in [
        (&["app:api"][..], "'app:api' is an ASGI application; hallway serves WSGI applications today"),
        (&["app:asgi"], "is an ASGI application"),
        (
            &["app:create_app"],
            "takes no arguments, and WSGI gives it environ and start_response; if it makes the application, write '--factory app:create_app'",
        ),
        (&["--factory", "app:with_name"], "it cannot be called without arguments"),
        (&["--factory", "app:plain"], "leave --factory out if it is the application itself"),
        (&["app:app"], "the module 'app' has no 'app'; did you mean '--factory app:create_app'?"),
    ] {
        let (code, heard) = Stage::with_app(app).run_to_end(&[&["--bind", "127.0.0.1:0"], target].concat());
        assert!(code == Some(4) && heard.contains(said), "{target:?}: {heard}");
    }
    let asgi = Stage::with_app("")
        .file("shop/__init__.py", "")
        .file("shop/asgi.py", "async def app(scope, receive, send): ...\n");
    let (code, said) = asgi.run_to_end(&["--bind", "127.0.0.1:0", "shop.asgi:app"]);
    assert!(code == Some(4) && said.contains("did you mean 'shop.wsgi:app'?"), "{said}");
}

#[test]
fn what_only_looks_like_a_wrong_app_is_served() {
    let app = "import functools\n\
               def app(environ, start_response):\n    start_response('200 OK', []); return [b'ok']\n\n\
               class Method:\n    def serve(self, environ, start_response): return app(environ, start_response)\n\n\
               method = Method().serve\n\
               partial = functools.partial(lambda extra, environ, start: app(environ, start), 1)\n\
               wrapped = functools.wraps(app)(lambda *arguments: app(*arguments))\n\
               class Called:\n    def __call__(self, environ, start_response=None): return app(environ, start_response)\n\n\
               called = Called()\n\
               class Old:\n    def __init__(self, environ, start_response):\n        self.body = app(environ, start_response)\n    \
               def __iter__(self): return iter(self.body)\n";
    for target in ["app:app", "app:method", "app:partial", "app:wrapped", "app:called", "app:Old"] {
        let hallway = Stage::with_app(app).run(&["-w", "1", target]);
        assert_eq!(super::client::get(hallway.address, "/").text(), "ok", "{target}");
    }
}

#[test]
fn a_module_alone_is_its_application() {
    let app = "def application(environ, start_response):\n    start_response('200 OK', []); return [b'alone']\n";
    let hallway = Stage::new().file("shop/__init__.py", "").file("shop/wsgi.py", app).run(&["-w", "1", "shop.wsgi"]);
    assert_eq!(super::client::get(hallway.address, "/").text(), "alone");
    assert!(hallway.said().contains("shop.wsgi:application"), "{}", hallway.said());
    let (code, said) = Stage::with_app("app = print\n").run_to_end(&["--bind", "127.0.0.1:0", "app"]);
    assert!(code == Some(4) && said.contains("has no 'application'; did you mean 'app:app'?"), "{said}");
}

#[test]
fn what_people_write_instead_of_module_and_app_is_explained() {
    for (arguments, said) in [
        (&["shop/wsgi.py:app"][..], "'shop/wsgi.py' is a file; write its module: 'shop.wsgi:app'"),
        (&["shop:create_app()"], "is a call; write '--factory shop:create_app'"),
        (&[], "which app? write 'hallway run MODULE:APP'"),
        (&["shop.py"], "'shop.py' is a file; write its module: 'shop:application'"),
        (&["--workers", "shop:app"], "--workers shop:app: write 1 to 1024, or 'auto'"),
        (&["--bind", "http://127.0.0.1:80", "a:b"], "an address has no scheme; write 127.0.0.1:80"),
        (&["--bind", "/run/x.sock", "a:b"], "a socket file is written unix:/run/x.sock"),
        (&["--bind", "unix:/no/such/dir/x.sock", "a:b"], "its directory is not there"),
        (&["--bind", "127.0.0.1:99999", "a:b"], "there is no port 99999"),
        (&["-p", "80", "a:b"], "there is no flag '-p'; write '--bind HOST:PORT'"),
        (&["--max-rss", "10", "a:b"], "--max-rss 10: Python alone takes more; write 32MiB or more"),
        (&["--static", "/s=none", "a:b"], "/none (not below --chdir)"),
    ] {
        let (code, heard) = Stage::with_app("").run_to_end(arguments);
        assert!(code == Some(2) || code == Some(1), "{arguments:?}: {code:?}");
        assert!(heard.contains(said), "{arguments:?}: {heard}");
    }
}
