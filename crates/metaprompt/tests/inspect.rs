//! `backbone inspect` says what a backbone's layers see.

mod common;

use common::{backbone_fixture, result};
use serde_json::json;

fn inspect(fixture: &str) -> serde_json::Value {
    let folder = backbone_fixture(fixture).display().to_string();
    result(&["backbone", "inspect", &folder])
}

#[test]
fn windows_positions_norms_and_experts_are_named() {
    let gpt_oss = inspect("gpt-oss-mxfp4");
    assert_eq!(
        gpt_oss["attention"],
        json!([
            { "layers": 6, "window": 8, "rotary": true },
            { "layers": 6, "window": null, "rotary": true },
        ])
    );
    assert_eq!(
        gpt_oss["experts"],
        json!({ "count": 8, "active": 4, "packed": true })
    );
    assert_eq!(
        (&gpt_oss["sinks"], &gpt_oss["head_norms"]),
        (&json!(true), &json!(false))
    );

    let smollm3 = inspect("smollm3");
    assert_eq!(
        smollm3["attention"],
        json!([
            { "layers": 2, "window": null, "rotary": true },
            { "layers": 2, "window": 8, "rotary": false },
        ])
    );
    assert_eq!(smollm3["experts"], json!(null));
    assert_eq!(inspect("qwen3")["head_norms"], json!(true));
}
