//! `footfall`: journal, gateway and sink in one process.
use std::time::Duration;

use crate::load::{Load, Offer};
use crate::service::{Service, folder, free_port};

#[test]
fn one_process_killed_ten_times_under_load_loses_nothing() {
    const KILLS: u32 = 10;
    let folder = folder("one-process");
    let gateway_port = free_port();
    let data = folder.path().join("data");
    let arguments = ["--data", data.to_str().expect("UTF-8"), "--listen", &format!("127.0.0.1:{gateway_port}")];
    let arguments: Vec<String> = arguments.iter().chain(&["--roll-interval", "500ms"]).map(|&a| a.to_owned()).collect();
    let mut footfall = Service::start("footfall", "footfall", &arguments, folder.path());
    let offer = Offer::or_from_environment(12_000, 500);
    let mut load = Load::start(&offer, gateway_port, &data.join("lake"), folder.path());
    for kill in 0..KILLS {
        std::thread::sleep(offer.duration().mul_f64(0.9) / KILLS);
        footfall.kill_9();
        // Not always at the same distance from a roll.
        std::thread::sleep(Duration::from_millis(u64::from(kill * 37 % 200)));
        footfall.restart();
    }
    load.must_pass().must_hold(offer.events);
    footfall.terminate();
    load.must_verify();
}
