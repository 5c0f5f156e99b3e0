//! In:     the built program, a real interpreter, real frameworks, a real browser.
//! Out:    stories: what a user does, and what must come of it; one file a story.
//! Actors: each story starts its own hallway on a free port and ends it by its process id.
//! Never:  does a mock stand in for what a user would use, or a story skip itself.

#![allow(clippy::disallowed_macros, unreachable_pub, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod client;
mod served;
mod spelled;
mod stage;
mod upstream;

mod access_log;
mod adopted;
mod ahead;
mod app_failures;
mod apps;
mod balance;
mod believed;
mod bodies;
mod boot_failures;
mod boundaries;
mod caches;
mod changing_files;
mod chaos;
mod client_left;
mod control;
mod desync;
mod drain;
mod edge_inputs;
mod edge_killed;
mod examples;
mod file_wrapper;
mod fire;
mod flask_hello;
mod forward_proxy;
mod gateways;
mod gunicorn_vectors;
mod head_limits;
mod holds;
mod hostile;
mod ill_apps;
mod interpreters;
mod keep_alive;
mod leaving;
mod liars;
mod listeners;
mod master_killed;
mod modifiers;
mod names;
mod nobody_reads;
mod on_their_way;
mod output;
mod outward;
mod own_process;
mod passwords;
mod pools;
mod port_taken;
mod privileges;
mod proxy_protocol;
mod reload;
mod reload_code;
mod rentomatic;
mod ring;
mod roll;
mod root_paths;
mod scarcity;
mod scripts;
mod sites;
mod slow_clients;
mod static_files;
mod statuses;
mod strict_http;
mod systemd;
mod threads;
mod timeout;
mod tls;
mod told;
mod trusted_proxies;
mod upstream_h2;
mod waiting;
mod watchdog;
mod websocket;
mod words;
mod worker_killed;
mod wsgi;
mod wsgi_corners;
