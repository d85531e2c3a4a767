use super::*;

const UNDIVIDED: Division =
    Division { share_bytes_max: usize::MAX, ack_delay_max: Duration::ZERO, processor_delay_max: Duration::ZERO };

fn shed(bytes_max: usize) -> (Gauge, Arc<LoadShed>) {
    let gauge = Gauge::default();
    let shed = LoadShed::new(gauge.clone(), bytes_max, Duration::from_secs(10), Shed::default());
    (gauge, Arc::new(shed))
}

#[test]
fn what_does_not_fit_is_refused_and_everything_is_given_back() {
    let (gauge, shed) = shed(100);
    let mut first = shed.admit(60).expect("60 of 100 fit");
    assert_eq!(shed.admit(41).expect_err("101 do not fit").code, Code::Overloaded);
    assert_eq!(gauge.get(), 60);
    first.grow(40).expect("100 of 100 fit");
    first.grow(1).expect_err("101 do not fit");
    drop(first);
    assert_eq!(gauge.get(), 0);
    shed.admit(100).expect("the scale is empty again");
}

#[test]
fn announcing_takes_little_room() {
    let (gauge, shed) = shed(10 << 20);
    let seats: Vec<Seat> = (0..20).map(|_| shed.admit(5 << 20).expect("nothing has arrived yet")).collect();
    assert_eq!(gauge.get(), 20 * (64 << 10));
    drop(seats);
    assert_eq!(shed.admit((10 << 20) + 1).expect_err("it can never fit").code, Code::Overloaded);
}

#[test]
fn a_source_holds_its_share_and_no_more() {
    let (gauge, shed) = shed(100);
    let division = Division { share_bytes_max: 50, ..UNDIVIDED };
    let (hot, quiet) = (Arc::new(Share::default()), Arc::new(Share::default()));
    let now = Instant::now();
    let mut first = shed.admit(40).expect("there is room");
    first.belong(&hot, division, now).expect("40 of 50");
    first.grow(11).expect_err("51 of 50");
    drop(first);
    let mut inflating = shed.admit(10).expect("there is room");
    inflating.belong(&hot, division, now).expect("10 of 50");
    inflating.holding(40, |_| Ok(())).expect("50 of 50 for a while");
    inflating.holding(40, |_| Ok(())).expect("what was held for a while is given back");
    inflating.holding(41, |_| Ok(())).expect_err("51 of 50");
    drop(inflating);
    let mut second = shed.admit(50).expect("there is room");
    second.belong(&hot, division, now).expect("50 of 50");
    let mut third = shed.admit(1).expect("there is room");
    third.belong(&hot, division, now).expect_err("51 of 50");
    drop(third);
    let mut other = shed.admit(50).expect("there is room");
    other.belong(&quiet, division, now).expect("the other half");
    drop((second, other));
    let held = |share: &Share| (share.bytes.load(Ordering::Relaxed), share.requests.load(Ordering::Relaxed));
    assert_eq!((gauge.get(), held(&hot), held(&quiet)), (0, (0, 0), (0, 0)));
    assert_eq!(shed.active.load(Ordering::Relaxed), 0);
}

#[test]
fn a_late_log_refuses_those_who_hold_most() {
    let (_, shed) = shed(10_000);
    let division = Division { ack_delay_max: Duration::from_secs(2), ..UNDIVIDED };
    let (hot, quiet) = (Arc::new(Share::default()), Arc::new(Share::default()));
    let start = Instant::now();
    let take = |share: &Arc<Share>, bytes, now| {
        let mut seat = shed.admit(bytes).expect("there is room");
        seat.belong(share, division, now).map(|()| seat)
    };
    let mut held = vec![take(&hot, 1000, start).expect("nothing is late")];
    let waiting = shed.await_acknowledgement(start);
    held.push(take(&hot, 1000, start + Duration::from_secs(1)).expect("a second is not late"));
    let late = start + Duration::from_secs(3);
    assert_eq!(take(&hot, 10, late).expect_err("late").code, Code::Overloaded);
    held.push(take(&quiet, 100, late).expect("it holds nothing"));
    held.push(take(&quiet, 100, late).expect("it holds less than half"));
    held.push(take(&quiet, 900, late).expect("it holds less than half"));
    take(&hot, 10, late).expect_err("it holds more than half");
    held.push(take(&quiet, 1100, late).expect("it holds less than half"));
    take(&quiet, 10, late).expect_err("it holds more than half by now");
    assert_eq!((shed.shed.delay.get(), shed.shed.share.get()), (3, 0));
    drop(waiting);
    take(&hot, 10, late).expect("nothing waits any more");
}

#[test]
fn a_busy_processor_refuses_those_who_hold_most() {
    let (_, shed) = shed(10_000);
    let division = Division { processor_delay_max: Duration::from_millis(500), ..UNDIVIDED };
    let (hot, quiet) = (Arc::new(Share::default()), Arc::new(Share::default()));
    let start = Instant::now();
    let take = |share: &Arc<Share>, bytes, now| {
        let mut seat = shed.admit(bytes).expect("there is room");
        seat.belong(share, division, now).map(|()| seat)
    };
    let _held = take(&hot, 1000, start).expect("no beat is late");
    shed.pulse.sent(start);
    take(&hot, 10, start + Duration::from_millis(400)).expect("not late yet");
    let late = start + Duration::from_millis(600);
    assert_eq!(take(&hot, 10, late).expect_err("late").code, Code::Overloaded);
    take(&quiet, 10, late).expect("it holds nothing");
    assert_eq!((shed.shed.processor.get(), shed.shed.delay.get()), (1, 0));
}
