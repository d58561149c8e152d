//! Files of weights as they are: safetensors (a run's resume.safetensors is one) and archives of
//! PyTorch.
#![no_main]

use inkling_fuzz::put;
use inkling_fuzz::weights::Tensors;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if let Ok(tensors) = Tensors::read(&put("weights", data)) {
        for name in tensors.names() {
            let sizes = tensors.shape(name).expect("it has one").iter();
            assert_eq!(sizes.product::<usize>(), tensors.values(name).len(), "{name}");
        }
    }
});
