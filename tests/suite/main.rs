//! Every externally visible promise of the product, one module per subject.
//!
//! Tests are named after promises and cite the rule they prove. Tables of the specifications stand here as rows.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on should say so and stop")]

/// What several modules need: scripted servers, child processes, certificates.
mod support;

use support::dice;

/// What agents call over HTTP: every endpoint, every refusal, over a socket.
mod agent_api;
/// The command line: commands, exit codes, help, what a person sees.
mod command_line;
/// Variables, files, mistakes: each mistake is a sentence.
mod configuration;
/// The whole of it: the program between Mission Control and a gateway.
mod conversation;
/// Every answer the backend can give, over a socket, and the class it is given.
mod convex_answers;
/// Which notifications reach an agent, what it is told, what becomes of its reply.
mod delivery;
/// The road of a delivery: what backend and agent saw, step by step.
mod delivery_flow;
/// Everything on one machine: the team plays by itself, answers a visitor, and ends without orphans.
mod demo;
/// Machines at DigitalOcean: the client, the steps of a request, the command.
mod digitalocean;
/// Who is next, in virtual time: tracks, ranks, lists, the gate.
mod dispatcher;
/// The documents: links, paths, the length of the README, the table of error messages.
mod documentation;
/// Every writing function against every broken connection, counted in the backend's tables.
mod faults;
/// Machines at Fly: the client, the clean-up of an app, the command.
mod fly;
/// Arbitrary bytes at every input: the fuzz targets without their engine.
mod fuzzed;
/// Every answer of a gateway, over a socket: replies, refusals, broken connections, both dialects.
mod gateway_answers;
/// The supervisor of a gateway, with commands that misbehave.
mod gateway_child;
/// The configuration of the gateway, merged from its environment, a template and the roster.
mod gateway_config;
/// Limits of what agents cause: the loop brake.
mod guardrails;
/// What wakes agents: whose queue an event goes to, and how often.
mod heartbeat;
/// The HTTP server under attack.
mod http_server;
/// The record of deliveries: what it keeps, and what no disk, crash or flipped byte makes it forget unnoticed.
mod ledger;
/// The embedded Mission Control against the tables of the contract.
mod mission_control;
/// What operators ask, and what they are told.
mod ops;
/// The conformance cases, and the command that plays them with a candidate gateway.
mod rehearsal;
/// The roster that all threads share.
mod roster;
/// The scripted gateway against what was seen of real ones, and its faults.
mod scripted_gateway;
/// No secret leaves the process.
mod secrets;
/// The 34 service functions: what is sent, what is understood.
mod service_calls;
/// The skills that a queue component publishes.
mod skills;
/// Keys stored in Mission Control: the names that every program refuses, and what the fetches cost.
mod stored_keys;
/// The threads of the delivery, with doubles that panic.
mod threads;
/// The layers, the lengths of files, the documents and the secrets.
mod tidiness;
/// Certificates: good ones work, bad ones are named.
mod tls;
/// The tools of the agents: who is offered what, what is understood, what comes of a call.
mod tools;
/// Restarts and upgrades that a person requests.
mod upgrade;
/// The wake query: its client, its server, and the program that follows it.
mod wake_query;
/// WebSocket frames: every length, every rule.
mod websocket;
/// The task workflow, session keys and notification words of the contract.
mod words;
/// The worker of a pool: the queue, Telegram, and one job from its claim to its end.
mod worker_pool;
/// The workspaces of agents: which files they get, and which files nothing touches.
mod workspace;
