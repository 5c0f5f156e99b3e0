//! Makes the rules of each plan.
//!
//! In:     plans; what outlives them: queues, servers, counters, logs.
//! Out:    rules in which all of that goes on.
//! Actors: the program's own thread.
//! Never:  does a plan that cannot be used change anything.

use crate::handlers::app::AppDesk;
use crate::handlers::pool;
use crate::handlers::pool::{Discoverer, PoolDesk, Watched};
use crate::journey::access_log::{self, Batches, Sink};
use crate::journey::rules::{Parsed, Parts, Rules};
use crate::request::limits::{Limiter, Pacer};
use crate::request::passwords;
use crate::server::mailbox::Mailboxes;
use hallway_core::plan::{AccessLog, Plan, Pool, Target, Zone};
use hallway_core::ports::Master;
use hallway_core::record::Style;
use hallway_net::file::pools::FilePools;
use hallway_net::file::spool::Spool;
use hallway_net::runtime::event_loop::Commons;
use hallway_net::runtime::lock::lock;
use hallway_net::runtime::thread_pool::ThreadPool;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Instant;

/// Threads that wait for name servers on behalf of the forward proxy.
const NAME_THREADS_MAX: usize = 16;

/// What outlives a plan.
pub(crate) struct RulesBuilder {
    mailboxes: Mailboxes,
    master: Arc<dyn Master>,
    beginning: Instant,
    file_pools: Arc<FilePools>,
    spool: Arc<Spool>,
    /// By the numbers of their apps.
    desks: HashMap<usize, Arc<AppDesk>>,
    /// By their names.
    pools: HashMap<String, Arc<PoolDesk>>,
    /// Those of the plan, in its order.
    pooled: Vec<(Arc<PoolDesk>, Arc<Pool>)>,
    discoverer: Discoverer,
    /// What is counted, by the names of the zones.
    limiters: HashMap<String, Arc<Limiter>>,
    /// The writers of access logs, by their files; nothing for standard output.
    writers: Arc<Mutex<HashMap<Option<PathBuf>, Batches>>>,
    /// The files among them, in the order in which the master hands them over.
    log_files: Vec<PathBuf>,
}

impl RulesBuilder {
    /// One that has made none yet, for so many event loops and so much room in spool files.
    pub(crate) fn new(
        mailboxes: Mailboxes,
        master: Arc<dyn Master>,
        (loops, spool_bytes_max): (usize, Option<u64>),
    ) -> RulesBuilder {
        RulesBuilder {
            mailboxes,
            master,
            beginning: Instant::now(),
            file_pools: FilePools::new(loops),
            spool: Spool::new(loops, spool_bytes_max),
            desks: HashMap::new(),
            pools: HashMap::new(),
            pooled: Vec::new(),
            discoverer: Discoverer::default(),
            limiters: HashMap::new(),
            writers: Arc::default(),
            log_files: Vec::new(),
        }
    }

    /// What all event loops have together.
    pub(crate) fn commons(&self) -> Commons {
        Commons {
            beginning: self.beginning,
            connections: Arc::default(),
            file_threads: self.file_pools.clone(),
            spool: self.spool.clone(),
            name_threads: ThreadPool::new("names of servers".into(), 1, NAME_THREADS_MAX),
        }
    }

    /// Where the requests of an app wait, by its number.
    pub(crate) fn desk(&self, app: u32) -> Option<Arc<AppDesk>> {
        self.desks.get(&(app as usize)).cloned()
    }

    /// How the servers of the pools are, and the spool.
    pub(crate) fn status(&self) -> Value {
        let pools: Vec<Value> = self.pooled.iter().map(|(desk, pool)| pool::status(pool, desk)).collect();
        json!({ "pools": pools, "spool": self.spool.status() })
    }

    /// There is another room for spool files.
    pub(crate) fn resize_spool(&self, bytes_max: Option<u64>) {
        self.spool.resize(bytes_max);
    }

    /// Has the access logs go on in these files, behind the lines that are on their way.
    pub(crate) fn reopen_logs(&self, logs: Vec<File>) {
        let writers = lock(&self.writers);
        for (path, file) in self.log_files.iter().zip(logs) {
            if let Some(batches) = writers.get(&Some(path.clone())) {
                let _ = batches.try_send(access_log::Batch::Reopen(file));
            }
        }
    }

    /// How many files the access logs of the plan have.
    pub(crate) fn log_files(&self) -> usize {
        self.log_files.len()
    }

    /// What is done when the last event loop has ended: the last lines of the logs are written.
    pub(crate) fn flush_logs(&self) -> Arc<dyn Fn() + Send + Sync> {
        let writers = self.writers.clone();
        Arc::new(move || lock(&writers).values().for_each(access_log::flush))
    }

    /// The rules of a plan. Apps and logs that there were before are the same in them. What may fail comes first: a plan
    /// that is refused leaves everything as it was.
    ///
    /// # Errors
    /// What of the plan cannot be used, or the system's.
    pub(crate) fn rules(&mut self, plan: Plan, serial: u32, logs: Vec<File>) -> io::Result<Rules> {
        let parsed = Parsed::of(&plan)?;
        passwords::start_for(&plan)?;
        self.discoverer.start_for(&plan.pools)?;
        let sinks = self.sinks(&plan, logs)?;
        self.desks.retain(|number, _| plan.apps.iter().any(|app| app.number == *number));
        let mut desks = Vec::new();
        for app in &plan.apps {
            let (pools, siblings) = (&self.file_pools, Arc::new(self.mailboxes.clone()));
            let new = || AppDesk::new(app, pools, siblings.clone(), self.master.clone(), self.beginning);
            let new = || new().map(Arc::new);
            let desk = self.desks.get(&app.number).cloned().map_or_else(new, Ok)?;
            desk.renew(app);
            self.desks.insert(app.number, desk.clone());
            desks.push(desk);
        }
        self.start_threads(&plan);
        let pools = self.pools(&plan, serial);
        let limiters = plan.zones.iter().map(|zone| self.limiter(zone)).collect();
        self.limiters.retain(|name, _| plan.zones.iter().any(|zone| zone.name == *name));
        let pacers = self.pacers(&plan);
        let master = self.master.clone();
        Ok(Rules::new(plan, serial, parsed, Parts { limiters, pacers, desks, sinks, pools, master }))
    }

    /// Has the threads for the files of a plan started, so that nobody has to start them when there may be none left.
    fn start_threads(&self, plan: &Plan) {
        for route in plan.sites.iter().flat_map(|site| &site.routes) {
            if let Target::Files(files) = &route.target {
                // Where it is is looked for now, by one of them.
                self.file_pools.root(&files.directory).local_mount();
            }
        }
        for script in plan.pools.iter().map(|pool| &pool.script).filter(|script| !script.root.is_empty()) {
            self.file_pools.root(Path::new(&script.root)).local_mount();
        }
    }

    /// Pools that there were before keep what is known of their servers.
    fn pools(&mut self, plan: &Plan, serial: u32) -> Vec<(Arc<PoolDesk>, Arc<Pool>)> {
        self.pools.retain(|name, _| plan.pools.iter().any(|pool| pool.name == *name));
        let (mut desks, mut watched) = (Vec::new(), Vec::new());
        let pools: Arc<[Arc<Pool>]> = plan.pools.iter().cloned().collect();
        for pool in &plan.pools {
            let desk = self.pools.entry(pool.name.clone()).or_insert_with(|| Arc::new(PoolDesk::new(self.beginning)));
            let one = Watched { desk: desk.clone(), pool: pool.clone(), pools: pools.clone(), serial };
            one.renew(&self.discoverer.book);
            watched.push(one);
            desks.push((desk.clone(), pool.clone()));
        }
        self.discoverer.watch(watched, &plan.resolvers);
        self.pooled.clone_from(&desks);
        desks
    }

    /// What a zone has counted so far counts on, as long as it is the same.
    fn limiter(&mut self, zone: &Zone) -> Arc<Limiter> {
        if let Some(known) = self.limiters.get(&zone.name).filter(|known| known.zone() == zone) {
            return known.clone();
        }
        let limiter = Arc::new(Limiter::new(zone.clone(), self.beginning));
        self.limiters.insert(zone.name.clone(), limiter.clone());
        limiter
    }

    fn pacers(&mut self, plan: &Plan) -> HashMap<String, Arc<Pacer>> {
        let routes = plan.sites.iter().flat_map(|site| &site.routes).map(|route| &route.bandwidth);
        let shared = routes.filter(|bandwidth| bandwidth.client_bytes_s > 0);
        let beginning = self.beginning;
        shared.map(|it| (it.name.clone(), Arc::new(Pacer::new(it, beginning)))).collect()
    }

    /// Where the lines of each log go. A file that was written before is written on by the same thread.
    fn sinks(&mut self, plan: &Plan, files: Vec<File>) -> io::Result<Vec<Arc<Sink>>> {
        let styles: Vec<Style> = plan.logs.iter().map(style_of).collect::<io::Result<_>>()?;
        let paths: Vec<PathBuf> = plan.log_files().into_iter().map(Path::to_owned).collect();
        if paths.len() != files.len() {
            return Err(io::Error::other("files of access logs have not come; no descriptor is left (ulimit -n)"));
        }
        let mut given: HashMap<Option<PathBuf>, File> = paths.iter().cloned().map(Some).zip(files).collect();
        let before = lock(&self.writers).clone();
        let mut writers = HashMap::new();
        for AccessLog { path, .. } in &plan.logs {
            let batches = match before.get(path).or(writers.get(path)) {
                Some(batches) => batches.clone(),
                None => access_log::start(path.clone(), given.remove(path))?,
            };
            writers.insert(path.clone(), batches);
        }
        let sink = |(log, style): (&AccessLog, Style)| {
            let batches = writers.get(&log.path).cloned();
            batches.map(|batches| Arc::new(Sink { batches, style }))
        };
        let sinks = plan.logs.iter().zip(styles).filter_map(sink).collect();
        *lock(&self.writers) = writers;
        self.log_files = paths;
        Ok(sinks)
    }
}

fn style_of(log: &AccessLog) -> io::Result<Style> {
    Style::of(&log.format).map_err(|fault| io::Error::other(fault.to_string()))
}

#[cfg(test)]
mod tests;
