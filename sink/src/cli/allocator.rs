//! How the C library's allocator is set.
//!
//! Responsible for giving memory back. Chunks, pages and files are large, live for seconds and are freed by other threads
//! than those that made them; glibc by default keeps what each of its arenas, eight a core, has once held. Measured with a
//! budget of 64 MiB and 64 partitions, the process peaked at 278 MiB, and at 84 MiB with these settings.

/// Few arenas, and large blocks straight from the system. Does nothing with another C library.
pub(crate) fn give_memory_back() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    glibc::configure();
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
mod glibc {
    use std::ffi::c_int;

    /// The parameters' numbers in glibc's malloc.h, and their values.
    const SETTINGS: [(c_int, c_int); 3] =
        [(M_ARENA_MAX, 2), (M_MMAP_THRESHOLD, 64 << 10), (M_TRIM_THRESHOLD, 128 << 10)];
    const M_TRIM_THRESHOLD: c_int = -1;
    const M_MMAP_THRESHOLD: c_int = -3;
    const M_ARENA_MAX: c_int = -8;

    #[expect(unsafe_code, reason = "the allocator has no other door")]
    unsafe extern "C" {
        safe fn mallopt(parameter: c_int, value: c_int) -> c_int;
    }

    pub(super) fn configure() {
        for (parameter, value) in SETTINGS {
            // Refused settings cost memory and nothing else.
            let _ = mallopt(parameter, value);
        }
    }
}
