//! Receives the signals that ask for a stop.

use std::error::Error;
use std::io;
use std::thread;

use crossbeam_channel::Receiver;
use log::info;

/// Sends a message for each signal that asks for a stop, and on request for the end of standard input. A parent
/// process holds the other end of that pipe. The system closes the pipe when the parent dies, however it dies.
pub(super) fn handle_signals(stop_on_eof: bool) -> Result<Receiver<()>, Box<dyn Error>> {
    let (sender, signals) = crossbeam_channel::bounded(1);
    if stop_on_eof {
        let sender = sender.clone();
        thread::Builder::new().name("stdin".to_owned()).spawn(move || {
            // A standard input that cannot be read is as good as closed.
            let _ = io::copy(&mut io::stdin().lock(), &mut io::sink());
            info!("Standard input is closed");
            let _ = sender.try_send(());
        })?;
    }
    ctrlc::set_handler(move || {
        // A full channel already has the message.
        let _ = sender.try_send(());
    })?;
    Ok(signals)
}
