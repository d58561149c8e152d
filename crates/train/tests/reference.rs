//! Losses and schedules against PyTorch's and segmentation_models_pytorch's values, which
//! oracles/train_reference.py made.

use burn::tensor::{Device, Tensor};
use inkling_train::{Loss, Schedule};
use serde_json::Value;

fn numbers(values: &Value) -> Vec<f64> {
    serde_json::from_value(values.clone()).unwrap()
}

fn tensor(values: &Value, shape: [usize; 3], device: &Device) -> Tensor<3> {
    let values: Vec<f32> = numbers(values).iter().map(|&value| value as f32).collect();
    Tensor::<1>::from_floats(values.as_slice(), device).reshape(shape)
}

#[test]
fn losses_and_their_gradients_agree() {
    let reference: Value = serde_json::from_str(include_str!("data/losses.json")).unwrap();
    let shape: [usize; 3] = serde_json::from_value(reference["shape"].clone()).unwrap();
    let device = Device::flex().autodiff();
    let cases = reference["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 10);
    for case in cases {
        let name = &case["name"];
        let loss: Loss = serde_json::from_value(case["settings"].clone()).unwrap();
        let logits = tensor(&reference["logits"], shape, &device).require_grad();
        let labels = tensor(&case["labels"], shape, &device);
        let validity = tensor(&reference["validity"], shape, &device);
        let value = loss.forward(logits.clone(), labels, validity, None);
        let found = f64::from(value.clone().into_scalar::<f32>());
        let expected = case["loss"].as_f64().unwrap();
        assert!(
            (found - expected).abs() < 2e-6,
            "{name}: {found} {expected}"
        );
        let gradient = logits.grad(&value.backward()).unwrap();
        let gradient: Vec<f32> = gradient.into_data().try_into_vec().unwrap();
        for (found, expected) in gradient.into_iter().zip(numbers(&case["gradient"])) {
            let found = f64::from(found);
            assert!(
                (found - expected).abs() < 1e-7,
                "{name}: {found} {expected}"
            );
        }
    }
}

#[test]
fn schedules_agree_at_every_step() {
    let reference: Value = serde_json::from_str(include_str!("data/schedules.json")).unwrap();
    for case in reference.as_array().unwrap() {
        let schedule = Schedule {
            pieces: serde_json::from_value(case["pieces"].clone()).unwrap(),
        };
        let steps = case["steps"].as_u64().unwrap();
        for (step, expected) in (0..steps).zip(numbers(&case["factors"])) {
            let found = schedule.factor(step, steps);
            let name = &case["name"];
            assert!(
                (found - expected).abs() < 1e-9,
                "{name} at {step}: {found} {expected}"
            );
        }
    }
}

#[test]
fn the_default_schedule_is_the_write_ups() {
    let reference: Value = serde_json::from_str(include_str!("data/schedules.json")).unwrap();
    let pieces = serde_json::from_value(reference[0]["pieces"].clone()).unwrap();
    assert_eq!(Schedule::default(), Schedule { pieces });
}
