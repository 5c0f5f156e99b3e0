//! In:     clients with certificates, with names, with targets that can be spelled in several ways.
//! Out:    what apps, servers and gateways are told of them.
//! Actors: hallway, openssl, curl, uWSGI, php-cgi.
//! Never:  does a client that shows nothing say what it would have shown.

use super::believed::{APP, ask, seen};
use super::client::{Answer, get, request};
use super::served::Served;
use super::stage::{Stage, wait_until};
use super::upstream::Upstream;
use std::collections::BTreeMap;
use std::process::{Child, Command, Stdio};

fn openssl(stage: &Stage, arguments: &str) {
    let output = Command::new("openssl").args(arguments.split(' ')).current_dir(&stage.dir).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// A site's certificate, an authority for clients, and alice's certificate by it.
fn certified(stage: Stage) -> Stage {
    for (name, host) in [("site", "shop.example"), ("ca", "ca.example")] {
        openssl(
            &stage,
            &format!(
                "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj /CN={host} \
                 -addext subjectAltName=DNS:{host} -keyout {name}.key -out {name}.pem"
            ),
        );
    }
    openssl(
        &stage,
        "req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /O=Acme/CN=alice -keyout alice.key -out alice.csr",
    );
    let stage =
        stage.file("leaf.ext", "basicConstraints=CA:FALSE\nsubjectAltName=email:alice@example.com,DNS:a.example");
    openssl(
        &stage,
        "x509 -req -in alice.csr -CA ca.pem -CAkey ca.key -days 30 -extfile leaf.ext -out alice.pem -set_serial 0xABC",
    );
    stage
}

/// A server that ends with its story.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        super::stage::signal(self.0.id(), "INT");
        let _ = self.0.wait();
    }
}

/// The same app behind uWSGI, Debian's own.
fn uwsgi(stage: &Stage) -> Server {
    let socket = stage.dir.join("app.sock");
    let mut command = Command::new("/usr/bin/uwsgi");
    command.args(["--plugins-dir", "/usr/lib/uwsgi/plugins", "--plugin", "python3", "--module", "app:app", "--master"]);
    command
        .args(["--need-app", "--die-on-term", "--threads", "2"])
        .args(["--chmod-socket=666", "--socket"])
        .arg(&socket)
        .arg("--chdir")
        .arg(&stage.dir);
    let server = Server(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
    wait_until(|| std::os::unix::net::UnixStream::connect(&socket).ok());
    server
}

#[test]
fn certificates_of_clients_are_told() {
    let stage = certified(Stage::with_app(APP));
    let _uwsgi = uwsgi(&stage);
    let upstream = Upstream::start("one");
    let file = r#"
        [server]
        http = "HTTP"
        https = "HTTPS"
        threads = 1
        [app.web]
        wsgi = "app:app"
        python = "PYTHON"
        workers = 1
        [site."shop.example"]
        tls = { cert = "DIR/site.pem", key = "DIR/site.key", clients = { ca = "DIR/ca.pem", optional = true HEADER } }
        routes = [
          { path = "/*", app = "web" },
          { path = "/pool/*", proxy = "http://UPSTREAM" },
          { path = "/gateway/*", proxy = "uwsgi://unix:DIR/app.sock" },
          { path = "/own/*", app = "web", request_headers = { set = { X-Subject = "$ssl_client_s_dn", X-Cert = "$ssl_client_escaped_cert", X-Verify = "$ssl_client_verify" } } },
        ]
        "#;
    let file = file.replace("UPSTREAM", &upstream.at);
    let mut served = Served::start(stage, &file.replace("HEADER", ""));
    let path = |served: &Served, name: &str| served.path(name).display().to_string();
    let asked = |served: &Served, shows: bool, version: &str, target: &str| -> BTreeMap<String, String> {
        let (site, pem, key) = (path(served, "site.pem"), path(served, "alice.pem"), path(served, "alice.key"));
        let forged = "X-Forwarded-Client-Cert: Hash=forged";
        let mut words = vec![version, "--cacert", &site, "-H", forged, "-H", "X-Cert-Of-Client: forged"];
        if shows {
            words.extend(["--cert", &pem, "--key", &key]);
        }
        let url = format!("https://shop.example:PORT{target}");
        words.push(&url);
        seen(&Answer { status: 200, head: String::new(), body: served.curl(&words).into_bytes() })
    };
    for version in ["--http1.1", "--http2"] {
        for target in ["/x", "/gateway/x"] {
            if (version, target) == ("--http2", "/gateway/x") {
                // What uWSGI answers to HTTP/2.0 is another story's.
                continue;
            }
            let app = asked(&served, true, version, target);
            for (name, value) in [
                ("SSL_CLIENT_VERIFY", "SUCCESS"),
                ("SSL_CLIENT_S_DN", "CN=alice,O=Acme"),
                ("SSL_CLIENT_S_DN_CN", "alice"),
                ("SSL_CLIENT_I_DN", "CN=ca.example"),
                ("SSL_CLIENT_M_SERIAL", "0ABC"),
                ("SSL_CLIENT_SAN_Email_0", "alice@example.com"),
            ] {
                assert_eq!(app.get(name).map(String::as_str), Some(value), "{name} at {target} by {version}");
            }
            assert!(app["SSL_CLIENT_CERT"].starts_with("-----BEGIN CERTIFICATE-----\n"));
            let stranger = asked(&served, false, version, target);
            assert_eq!(stranger["SSL_CLIENT_VERIFY"], "NONE");
            assert!(
                !stranger.contains_key("SSL_CLIENT_S_DN") && !stranger.contains_key("HTTP_X_FORWARDED_CLIENT_CERT")
            );
        }
        let server = asked(&served, true, version, "/pool/echo");
        let told = &server["HTTP_X_FORWARDED_CLIENT_CERT"];
        assert!(told.contains(";Subject=\"CN=alice,O=Acme\";DNS=a.example") && told.starts_with("Hash="), "{told}");
        assert!(told.contains("Cert=\"-----BEGIN%20CERTIFICATE-----%0A") && !told.contains("forged"));
        assert_eq!(asked(&served, false, version, "/pool/echo").get("HTTP_X_FORWARDED_CLIENT_CERT"), None);
        let own = asked(&served, true, version, "/own/x");
        assert_eq!((&*own["HTTP_X_SUBJECT"], &*own["HTTP_X_VERIFY"]), ("CN=alice,O=Acme", "SUCCESS"));
        assert!(own["HTTP_X_CERT"].starts_with("-----BEGIN%20CERTIFICATE"));
        let none = asked(&served, false, version, "/own/x");
        assert_eq!((none.get("HTTP_X_SUBJECT"), &*none["HTTP_X_VERIFY"]), (None, "NONE"));
    }
    served.change(&file.replace("HEADER", ", header = \"X-Cert-Of-Client\""));
    let server = asked(&served, true, "--http1.1", "/pool/echo");
    assert!(
        server["HTTP_X_CERT_OF_CLIENT"].starts_with("Hash=") && !server["HTTP_X_CERT_OF_CLIENT"].contains("forged")
    );
    for target in ["/pool/echo", "/x"] {
        let stranger = asked(&served, false, "--http1.1", target);
        assert_eq!(stranger.get("HTTP_X_CERT_OF_CLIENT"), None, "{target}: who shows none cannot say so");
    }
}

#[test]
fn requests_get_headers_with_what_is_known_of_them() {
    let upstream = Upstream::start("one");
    let file = r#"
        [server]
        http = "HTTP"
        threads = 1
        [app.web]
        wsgi = "app:app"
        python = "PYTHON"
        workers = 1
        request_headers = { set = { X-Client = "$remote_addr", X-Level = "app" }, remove = ["X-Gone"] }
        [pool.api]
        servers = ["http://UPSTREAM"]
        request_headers = { set = { X-Client = "$remote_addr", X-Level = "pool", X-Secret = "file:key" }, remove = ["X-Gone"] }
        [site."*"]
        request_headers = { set = { X-Site = "$host $scheme", X-Agent = "$http_user_agent" } }
        basic_auth = { users = { alice = "{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=" } }
        routes = [
          { path = "/*", app = "web" },
          { path = "/pool/*", pool = "api" },
          { path = "/own/*", app = "web", request_headers = { set = { X-Level = "route $uri$$ $request_uri", X-User = "$remote_user" }, remove = ["traceparent", "X-Site"] } },
          { path = "/pool/own/*", pool = "api", request_headers = { set = { X-Level = "route $uri$$ $request_uri", X-User = "$remote_user" }, remove = ["traceparent", "X-Site"] } },
        ]
        "#;
    let stage = Stage::with_app(APP).file("key", "s3c$ret\n");
    let served = Served::start(stage, &file.replace("UPSTREAM", &upstream.at));
    let lines = "Authorization: Basic YWxpY2U6c2VjcmV0\r\nX-Client: 6.6.6.6\r\nX-Level: client\r\nX-Gone: 1\r\nX-User: root\r\n";
    for (target, level) in [("/x", "app"), ("/pool/echo", "pool")] {
        let told = seen(&request(served.http, "GET", target, lines));
        assert_eq!((&*told["HTTP_X_CLIENT"], &*told["HTTP_X_LEVEL"]), ("127.0.0.1", level), "{target}");
        assert_eq!((&*told["HTTP_X_SITE"], &*told["HTTP_X_USER"]), ("story http", "root"));
        assert_eq!(
            (told.get("HTTP_X_GONE"), told.get("HTTP_X_AGENT")),
            (None, None),
            "what comes to nothing is not sent"
        );
        assert!(told.contains_key("HTTP_TRACEPARENT"));
    }
    assert_eq!(
        seen(&request(served.http, "GET", "/pool/echo", lines))["HTTP_X_SECRET"],
        "s3c$ret",
        "a file is no template"
    );
    for (target, prefix) in [("/own/%7ex", "/own/"), ("/pool/own/%7e/echo", "/pool/own/")] {
        let told = seen(&request(served.http, "GET", target, lines));
        let level = format!("route {}$ {target}", target.replace("%7e", "~"));
        assert_eq!((&*told["HTTP_X_LEVEL"], &*told["HTTP_X_USER"]), (&*level, "alice"), "{prefix}");
        assert_eq!(told["HTTP_X_CLIENT"], "127.0.0.1");
        for name in ["HTTP_TRACEPARENT", "HTTP_X_SITE", "HTTP_X_GONE"] {
            assert_eq!(told.get(name), None, "{name} at {target}");
        }
    }
}

#[test]
fn the_target_is_told_as_it_came() {
    let stage = Stage::with_app(APP).file("key", "");
    let _uwsgi = uwsgi(&stage);
    let upstream = Upstream::start("one");
    let file = r#"
        [server]
        http = "HTTP"
        threads = 1
        [app.web]
        wsgi = "app:app"
        python = "PYTHON"
        workers = 1
        [pool.signed]
        servers = ["http://UPSTREAM"]
        raw_path = true
        [pool.matched]
        servers = ["http://UPSTREAM"]
        [site."*"]
        routes = [
          { path = "/*", app = "web" },
          { path = "/cut/*", app = "web", strip = true },
          { path = "/new/*", app = "web", rewrite = "/elsewhere/*" },
          { path = "/gateway/*", proxy = "uwsgi://unix:DIR/app.sock" },
          { path = "/matched/*", pool = "matched" },
          { path = "/signed/*", pool = "signed" },
          { path = "/signed/private/*", respond = { status = 403 } },
        ]
        "#;
    let served = Served::start(stage, &file.replace("UPSTREAM", &upstream.at));
    let target = "//%7ea/./b%2fc//%c3%bc/../d?x=%7e&y=/../";
    for before in ["", "/cut", "/new", "/gateway"] {
        let target = format!("{before}{target}");
        let app = seen(&get(served.http, &target));
        assert_eq!((&*app["REQUEST_URI"], &*app["RAW_URI"]), (&*target, &*target));
    }
    let absolute = seen(&ask("127.0.0.8", served.http, "http://shop.example/a%7e?x", ""));
    assert_eq!((&*absolute["REQUEST_URI"], &*absolute["RAW_URI"]), ("/a%7e?x", "http://shop.example/a%7e?x"));
    let path = |target: &str| seen(&get(served.http, target))["PATH"].clone();
    let signed = "/signed/%7ea//b%2fc/./d/../echo?x=%7e";
    assert_eq!(path(signed), signed);
    assert_eq!(path("/matched/%7ea//b%2fc/./d/../echo?x=%7e"), "/matched/~a/b%2Fc/echo?x=%7e");
    let by_http2 = served.curl(&["--http2-prior-knowledge", "--path-as-is", &format!("http://HTTP_AT{signed}")]);
    assert!(by_http2.contains(signed), "{by_http2}");
    // Read in two ways it is two routes.
    for around in
        ["/signed/private/../echo", "/signed/x/../../signed/private/echo", "/signed/%2e%2e/signed/private/%2E/echo"]
    {
        assert!(matches!(get(served.http, around).status, 400 | 403), "{around}");
    }
    assert_eq!(get(served.http, "/signed/private/../echo").status, 400);
}
