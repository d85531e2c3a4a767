use super::*;

fn rate(per_second: u32, burst: u32) -> Rate {
    Rate::new(per_second, Some(burst), 10_000)
}

fn take(
    source: Option<&SourceQuota>,
    addresses: Option<&AddressQuota>,
    address: IpAddr,
    events: u32,
) -> Result<(), Rejection> {
    super::take(source, addresses, address, Wanted { events, announced_bytes: 100 * events as usize })
}

fn ip(address: &str) -> IpAddr {
    address.parse().expect("an address")
}

fn network(address: &str) -> Network {
    Network::of(ip(address))
}

fn seconds(judged: Result<(), Rejection>) -> Option<u32> {
    judged.err().map(|refusal| refusal.retry_after_seconds.expect("a computed wait"))
}

#[test]
fn a_request_passes_as_a_whole_or_waits_until_it_does() {
    let quota = SourceQuota::new(rate(10, 100));
    let take = |events| take(Some(&quota), None, ip("::1"), events);
    assert_eq!(take(60), Ok(()));
    assert_eq!(seconds(take(60)), Some(2), "20 are lacking, at 10 a second");
    assert_eq!(take(40), Ok(()), "the refused request was charged nothing");
    assert_eq!(seconds(take(95)), Some(10), "95 at 10 a second, rounded up");
    assert_eq!(seconds(take(1)), Some(1), "at least a second");
    assert_eq!(take(101).expect_err("more than the bucket holds").code, Code::TooManyEvents);
    assert_eq!(take(0), Ok(()));
}

#[test]
fn the_wait_is_never_longer_than_five_minutes() {
    let quota = SourceQuota::new(rate(1, 10_000));
    assert_eq!(take(Some(&quota), None, ip("::1"), 10_000), Ok(()));
    assert_eq!(seconds(take(Some(&quota), None, ip("::1"), 10_000)), Some(300));
}

#[test]
fn what_the_address_refuses_is_not_charged_to_the_source() {
    let source = SourceQuota::new(rate(1, 100));
    let addresses = AddressQuota::new(rate(1, 10));
    let take = |address: &str, events| take(Some(&source), Some(&addresses), ip(address), events);
    assert_eq!(take("203.0.113.1", 10), Ok(()));
    for _ in 0..50 {
        assert_eq!(take("203.0.113.1", 10).expect_err("spent").code, Code::AddressQuotaExceeded);
    }
    for n in 2..=10 {
        assert_eq!(take(&format!("203.0.113.{n}"), 10), Ok(()), "address {n}");
    }
    assert_eq!(take("203.0.113.11", 10).expect_err("the source has had its 100").code, Code::QuotaExceeded);
}

#[test]
fn looking_whether_a_source_is_exhausted_costs_nothing() {
    let quota = SourceQuota::new(rate(1, 3));
    for _ in 0..10 {
        assert_eq!(quota.look(0, Instant::now()), Ok(()));
    }
    assert_eq!(take(Some(&quota), None, ip("::1"), 3), Ok(()));
    assert_eq!(seconds(quota.look(0, Instant::now())), Some(1));
}

#[test]
fn a_refusal_speaks_for_requests_of_its_size_for_a_second() {
    let quota = SourceQuota::new(rate(1, 100));
    let take = |events| take(Some(&quota), None, ip("::1"), events);
    assert_eq!(take(50), Ok(()));
    let look = |announced_bytes, later| quota.look(announced_bytes, Instant::now() + Duration::from_millis(later));
    assert_eq!(look(10_000, 0), Ok(()), "nothing was refused yet");
    assert_eq!(seconds(take(90)), Some(40));
    assert_eq!(seconds(take(80)), Some(30));
    assert_eq!(seconds(take(90)), Some(40), "a larger one does not replace the smaller");
    assert_eq!(seconds(look(8000, 0)), Some(30));
    assert_eq!(seconds(look(50_000, 0)), Some(30));
    assert_eq!(look(7999, 0), Ok(()), "a smaller one may fit");
    assert_eq!(look(0, 0), Ok(()), "and so may one of unknown size");
    assert_eq!(look(8000, 1001), Ok(()));
}

#[test]
fn threads_together_take_no_more_than_there_is() {
    let quota = SourceQuota::new(rate(1, 1000));
    let addresses = AddressQuota::new(rate(1, 1));
    let taken = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for thread in 0..4_u32 {
            let (quota, addresses, taken) = (&quota, &addresses, &taken);
            scope.spawn(move || {
                for n in 0..1000_u32 {
                    // Every second address is spent, so that half of what is charged is given back.
                    let address = std::net::Ipv4Addr::from_bits(thread * 1000 + n / 2).into();
                    if take(Some(quota), Some(addresses), address, 1).is_ok() {
                        taken.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    let taken = taken.into_inner();
    assert!((990..=1010).contains(&taken), "{taken} of 1000");
}

#[test]
fn an_address_is_a_host_of_ipv4_and_a_64_of_ipv6() {
    assert_ne!(network("203.0.113.1"), network("203.0.113.2"));
    assert_eq!(network("203.0.113.1"), network("::ffff:203.0.113.1"));
    assert_eq!(network("2001:db8:0:1::1"), network("2001:db8:0:1:ffff::2"));
    assert_ne!(network("2001:db8:0:1::1"), network("2001:db8:0:2::1"));
}

#[test]
fn addresses_are_forgotten() {
    let one = NonZeroU32::MIN;
    let fast = AddressQuota::new(rate(1_000_000, 1));
    let slow = AddressQuota::bounded(rate(1, 100), 1000);
    for bits in 0..1_000_000_u32 {
        let network = Network::of(std::net::Ipv4Addr::from_bits(bits).into());
        fast.take(network, one).expect("the first event of an address");
    }
    for bits in 0..500_u32 {
        let network = Network::of(std::net::Ipv4Addr::from_bits(bits).into());
        slow.take(network, one).expect("the first event of an address");
    }
    assert_eq!(fast.networks(), 1_000_000);
    std::thread::sleep(Duration::from_millis(1));
    fast.sweep();
    assert_eq!(fast.networks(), 0, "full buckets are forgotten");
    slow.sweep();
    assert_eq!(slow.networks(), 500, "buckets in use are kept");
    for bits in 500..600_u32 {
        let network = Network::of(std::net::Ipv4Addr::from_bits(bits).into());
        slow.take(network, one).expect("the first event of an address");
    }
    slow.sweep();
    assert_eq!(slow.networks(), 0, "unless they are too many");
}
