//! What the machine is said to be.

use crate::test_fragment::{figures, inkling};

#[test]
fn the_doctor_counts_threads_memory_and_devices() {
    let found = figures(&["doctor", "--threads", "1"]);
    assert_eq!(found["threads"], 1);
    let processors = found["machine"]["processors"].as_u64().unwrap();
    let advice = found["advice"].to_string();
    assert_eq!(advice.contains("--threads"), processors > 1, "{found}");
    let [memory, free] = ["memory", "available"].map(|key| found["machine"][key].as_u64().unwrap());
    assert!(free <= memory && memory > 64 << 20, "{found}");
    assert!(found["device"].is_string() && found["weights_cache"].is_string());
    let said = inkling(&["doctor"]);
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    for line in ["inkling ", "processor ", "threads ", "memory ", "device "] {
        assert!(said.lines().any(|said| said.starts_with(line)), "{said}");
    }
}
