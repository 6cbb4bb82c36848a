//! Decides how agents reach the tools: as function tools of their turns, over HTTP, both, or not at all.
//!
//! | function tools | `AGENT_API` | a briefing offers | HTTP endpoints of tools |
//! |---|---|---|---|
//! | work | `auto` | function tools | closed |
//! | work | `on` | function tools and endpoints | open |
//! | off, or the gateway is too old | `auto`, `on` | endpoints | open |
//! | the gateway is too old | `off` | function tools, which it may never show | closed |
//! | off | `off` | nothing | closed |
//!
//! A gateway may be replaced while an agent works. A delivery whose briefing described the endpoints keeps them until
//! it ends.

use mcr_model::ToolEndpoints;

/// How agents reach the tools, as configured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ToolAccess {
    /// When the HTTP endpoints of tools are open.
    pub endpoints: ToolEndpoints,
    /// Whether agents get function tools.
    pub client_tools: bool,
}

/// What a briefing offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ToolRoute {
    /// Function tools.
    Functions,
    /// Function tools, and the same tools over HTTP.
    FunctionsAndEndpoints,
    /// Tools over HTTP.
    Endpoints,
    /// No tools.
    Nothing,
}

impl ToolRoute {
    /// Whether the briefing describes the endpoints.
    pub fn has_endpoints(self) -> bool {
        matches!(self, Self::FunctionsAndEndpoints | Self::Endpoints)
    }
}

impl ToolAccess {
    /// What a new briefing offers. `shown` tells whether the gateway shows function tools to its agents.
    pub fn route(self, shown: bool) -> ToolRoute {
        match (self.endpoints, self.client_tools && shown) {
            (ToolEndpoints::Auto, true) => ToolRoute::Functions,
            (ToolEndpoints::On, true) => ToolRoute::FunctionsAndEndpoints,
            (ToolEndpoints::Auto | ToolEndpoints::On, false) => ToolRoute::Endpoints,
            (ToolEndpoints::Off, _) if self.client_tools => ToolRoute::Functions,
            (ToolEndpoints::Off, _) => ToolRoute::Nothing,
        }
    }

    /// Why the endpoints are open or closed: a sentence.
    pub fn explain(self, shown: bool) -> &'static str {
        match (self.endpoints, self.client_tools, shown) {
            (ToolEndpoints::On, ..) => "AGENT_API is on.",
            (ToolEndpoints::Off, ..) => "AGENT_API is off.",
            (ToolEndpoints::Auto, false, _) => {
                "OPENCLAW_CLIENT_TOOLS_ENABLED is false, so agents have no function tools."
            }
            (ToolEndpoints::Auto, true, false) => "The gateway is too old for function tools.",
            (ToolEndpoints::Auto, true, true) => {
                "Agents have function tools. A delivery whose briefing describes the endpoints may still call them."
            }
        }
    }

    /// Whether a session may call tools over HTTP. `described` tells whether the briefing of its running delivery
    /// offers that.
    pub fn is_open(self, shown: bool, described: bool) -> bool {
        match self.endpoints {
            ToolEndpoints::On => true,
            ToolEndpoints::Off => false,
            ToolEndpoints::Auto => described || !(self.client_tools && shown),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ToolEndpoints::{Auto, Off, On};
    use ToolRoute::{Endpoints, Functions, FunctionsAndEndpoints, Nothing};

    #[test]
    fn the_endpoints_are_open_where_function_tools_do_not_work() {
        // Configured function tools, and whether the gateway shows them.
        let rows = [
            (Auto, true, true, Functions, false),
            (Auto, true, false, Endpoints, true),
            (Auto, false, true, Endpoints, true),
            (Auto, false, false, Endpoints, true),
            (On, true, true, FunctionsAndEndpoints, true),
            (On, true, false, Endpoints, true),
            (On, false, true, Endpoints, true),
            (On, false, false, Endpoints, true),
            (Off, true, true, Functions, false),
            (Off, true, false, Functions, false),
            (Off, false, true, Nothing, false),
            (Off, false, false, Nothing, false),
        ];
        for (endpoints, client_tools, shown, route, open) in rows {
            let access = ToolAccess { endpoints, client_tools };
            assert_eq!(access.route(shown), route, "{access:?} {shown}");
            assert_eq!(access.is_open(shown, false), open, "{access:?} {shown}");
            assert_eq!(access.is_open(shown, true), endpoints != Off, "{access:?} {shown}");
            assert!(open || !route.has_endpoints(), "a briefing describes open endpoints only");
            let why = access.explain(shown);
            let is_configured = why.starts_with("AGENT_API is o");
            assert_eq!(is_configured, endpoints != Auto, "{access:?} {shown}: {why}");
            assert_eq!(is_configured || why.contains("may still call"), !open || endpoints == On, "{why}");
        }
    }
}
