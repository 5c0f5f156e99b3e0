//! In:     clients of the forward proxy.
//! Out:    what the server answers that they asked for, where it is named.
//! Actors: hallway twice over: as the proxy and as the server behind it; curl.
//! Never:  is it a way to anywhere else, or for anybody else.

use super::served::Served;
use super::stage::Stage;

/// The password is "secret".
const FILE: &str = r#"
[server]
http = "HTTP"
forward_proxy = { listen = "OTHER", allow = ["HTTP", "localhost:80"], basic_auth = { users = { alice = "$2y$05$SlVdZUAc0HMRj5qEmLes.ul1wYmmkpKMebaWA0qun6qIbAvR7choG" } } }
[site."*"]
routes = [{ path = "/*", respond = { body = "reached" } }]
"#;

#[test]
fn only_to_what_is_named_and_only_for_those_who_may() {
    let served = Served::start(Stage::new(), FILE);
    let proxy = |user: &str| format!("http://{user}{}", served.other);
    let code = ["-o", "/dev/null", "-w", "%{http_code} %{http_connect}"];
    let known = proxy("alice:secret@");
    assert_eq!(served.curl(&["-x", &known, "http://HTTP_AT/x"]), "reached");
    assert_eq!(served.curl(&["-p", "-x", &known, "http://HTTP_AT/x"]), "reached", "through a tunnel");
    assert_eq!(served.curl(&[&code[..], &["-x", &proxy(""), "http://HTTP_AT/x"]].concat()), "407 000");
    assert_eq!(served.curl(&[&code[..], &["-x", &proxy("alice:wrong@"), "http://HTTP_AT/x"]].concat()), "407 000");
    for elsewhere in ["http://127.0.0.1:1/", "http://example.com/", "http://127.0.0.1.example.com:80/"] {
        assert_eq!(served.curl(&[&code[..], &["-x", &known, elsewhere]].concat()), "403 000", "{elsewhere}");
    }
    assert_eq!(
        served.curl(&[&code[..], &["-x", &known, "http://localhost/"]].concat()),
        "502 000",
        "a name that leads in"
    );
    let tunnel = served.curl(&[&code[..], &["-p", "-x", &known, "http://127.0.0.1:1/"]].concat());
    assert!(tunnel.contains("000 403"), "{tunnel}");
    let server = served.curl(&[&code[..], &["--request-target", "/x", "http://HTTP_AT/"]].concat());
    assert_eq!(server, "200 000", "the other way it is a server as before");
}

#[test]
fn check_refuses_one_that_is_open_to_all() {
    let stage = Stage::new();
    let file = "[server]\nforward_proxy = { listen = \"0.0.0.0:3128\", allow = [\"*\"] }\n[site.\"*\"]\nroutes = [{ path = \"/*\", respond = {} }]\n";
    std::fs::write(stage.dir.join("hallway.toml"), file).unwrap();
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_hallway"));
    let output = command.arg("check").arg("-c").arg(stage.dir.join("hallway.toml")).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("anybody could use it") && said.contains("write HOST:PORT"), "{said}");
}
