//! In:     what stands behind the body of a request, and by which rules it goes on.
//! Out:    what of it goes on, too.
//! Actors: none.
//! Never:  is a header told behind a body that its client may not tell before it.

use crate::request::context::RequestContext;
use crate::request::loop_plan::LoopPlan;
use hallway_core::fields::Fields;
use hallway_core::plan::{Pool, RequestLines};
use hallway_core::semantics::{Belief, ForwardedFacts, Speaker, may_trail};
use std::rc::Rc;
use std::sync::Arc;

/// Where a request goes whose body is passed on as it comes.
pub(crate) struct Trailing {
    plan: Rc<LoopPlan>,
    pool: Arc<Pool>,
    /// The site and its route.
    place: Option<(usize, usize)>,
    lines: Option<Rc<RequestLines>>,
}

impl Trailing {
    pub(super) fn of(context: &RequestContext, pool: &Arc<Pool>) -> Trailing {
        Trailing {
            plan: context.plan.clone(),
            pool: pool.clone(),
            place: context.site.zip(context.route),
            lines: context.lines.clone(),
        }
    }

    /// Leaves what may go on.
    pub(super) fn retain(&self, trailers: &mut Fields) {
        if trailers.is_empty() {
            return;
        }
        let plan = &self.plan;
        let site = self.place.map(|(site, _)| &plan.sites[site]);
        let clients = site.and_then(|site| site.tls.as_ref()?.clients.as_ref());
        let facts = ForwardedFacts {
            belief: Belief { speaker: Speaker::Stranger, trust: Some(&plan.trust) },
            certificate_header: clients.and_then(|clients| clients.header.as_deref()),
            lines: self.lines.as_deref().or_else(|| {
                let (site, route) = self.place?;
                Some(&plan.sites[site].routes[route].request_lines)
            }),
            ..ForwardedFacts::default()
        };
        trailers.retain(|name| may_trail(name, &facts) && !self.pool.request_lines.replaces(name));
    }
}
