//! The worker of a pool: its calls of the queue and of Telegram, over sockets, against stand-ins with their own books.

/// What follows an answer: the history, the chat, the end of the job, with faults and lost leases.
mod answers;
/// The queue, Telegram and the gateway for the program.
mod bench;
/// The sixteen functions: what is sent, what is understood, what a lost answer means.
mod calls;
/// The program killed, stopped and fenced in the middle of a job.
mod crashes;
/// The program with the queue of the embedded Mission Control, from an update of Telegram to its answer.
mod embedded;
/// The renewal of leases, and the fence when one is lost.
mod leases;
/// The program from the claim to the completion.
mod process;
/// Several processes of the program under faults.
mod storm;
/// The client of Telegram: texts, files, and what each fault means.
mod telegram;
