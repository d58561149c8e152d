//! The machine that a command runs on: processors and memory.

use inkling_kernels::SimdLevel;
use serde::Serialize;
use sysinfo::{
    CpuRefreshKind, MemoryRefreshKind, ProcessRefreshKind, ProcessesToUpdate, RefreshKind, System,
};

/// Where a system does not say how much memory it has, in bytes.
const UNKNOWN_MEMORY: usize = 8 << 30;

/// Processors and memory, as this process may use them.
#[derive(Clone, Debug, Serialize)]
pub struct Machine {
    /// What the processor calls itself.
    pub processor: String,
    /// Processors that the system shows; two for a core with hyper-threading.
    pub processors: usize,
    /// Cores, where the system tells them from processors.
    pub cores: Option<usize>,
    /// Vector instructions that were found and that Inkling has code for, the widest last.
    pub simd: Vec<&'static str>,
    /// Bytes of memory, of the machine or of the control group that confines this process.
    pub memory: usize,
    /// Bytes of it that are free or can be freed.
    pub available: usize,
}

impl Machine {
    /// Looks at the machine.
    pub fn look() -> Self {
        let kinds = RefreshKind::nothing()
            .with_cpu(CpuRefreshKind::nothing())
            .with_memory(MemoryRefreshKind::nothing().with_ram());
        let system = System::new_with_specifics(kinds);
        let processor = system.cpus().first().map(|cpu| cpu.brand().trim());
        let memory = memory_of(&system);
        Self {
            processor: processor.unwrap_or("unknown").to_owned(),
            processors: system.cpus().len(),
            cores: System::physical_core_count(),
            simd: simd(),
            memory,
            available: bytes(system.available_memory()).min(memory),
        }
    }
}

/// The most bytes of memory that this process held at once, free ones that the allocator keeps included,
/// where the system says so.
pub fn peak_resident() -> Option<usize> {
    // As Linux counts: "VmHWM:    123456 kB".
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let (_, peak) = status.split_once("VmHWM:")?;
    let kilobytes: usize = peak.split_whitespace().next()?.parse().ok()?;
    Some(kilobytes << 10)
}

/// Bytes of the machine's memory, or of the share of it that this process is confined to.
pub fn memory() -> usize {
    let ram = MemoryRefreshKind::nothing().with_ram();
    memory_of(&System::new_with_specifics(
        RefreshKind::nothing().with_memory(ram),
    ))
}

fn memory_of(system: &System) -> usize {
    let all = system.total_memory();
    let container = system.cgroup_limits();
    // A job's own group, such as Slurm's, lies below the one that a container shows as its root.
    let mut own = System::new();
    let job = sysinfo::get_current_pid().ok().and_then(|pid| {
        let kinds = ProcessRefreshKind::nothing();
        own.refresh_processes_specifics(ProcessesToUpdate::Some(&[pid]), false, kinds);
        own.process(pid)?.cgroup_limits()
    });
    let groups = container.into_iter().chain(job);
    let limit = groups.map(|group| group.total_memory).fold(all, u64::min);
    // 0 where a system does not say.
    match bytes(limit) {
        0 => UNKNOWN_MEMORY,
        bytes => bytes,
    }
}

fn bytes(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// Vector instructions that Inkling has code for, the widest last, and whether this processor has them.
#[cfg(target_arch = "x86_64")]
fn known_simd() -> [(&'static str, bool); 7] {
    use std::is_x86_feature_detected;
    let avx2 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
    [
        ("SSE2", true),
        ("AVX2", avx2),
        ("AVX-VNNI", is_x86_feature_detected!("avxvnni")),
        ("AVX-512", is_x86_feature_detected!("avx512f")),
        ("AVX-512 VNNI", is_x86_feature_detected!("avx512vnni")),
        ("AVX-512 BF16", is_x86_feature_detected!("avx512bf16")),
        ("AMX", SimdLevel::Amx.is_found()),
    ]
}

/// As above.
#[cfg(target_arch = "aarch64")]
fn known_simd() -> [(&'static str, bool); 3] {
    use std::arch::is_aarch64_feature_detected;
    let bf16 = is_aarch64_feature_detected!("bf16");
    let products = is_aarch64_feature_detected!("dotprod");
    [
        ("NEON", true),
        ("Armv8.2 dot products", products),
        ("Armv8.6 BF16", bf16),
    ]
}

/// None.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn known_simd() -> [(&'static str, bool); 0] {
    []
}

fn simd() -> Vec<&'static str> {
    let found = known_simd().into_iter().filter(|(_, found)| *found);
    found.map(|(name, _)| name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_has_processors_and_memory() {
        let machine = Machine::look();
        assert!((64 << 20..1 << 50).contains(&machine.memory), "{machine:?}");
        assert!(machine.available <= machine.memory, "{machine:?}");
        assert!(machine.processors >= 1, "{machine:?}");
        assert!(machine.cores.is_none_or(|cores| cores >= 1), "{machine:?}");
        assert_eq!(memory(), machine.memory);
    }
}
