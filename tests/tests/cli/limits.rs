//! Limits, tiers and task types from the command line.

use serde_json::json;

use crate::Binary;

/// Contract rows 5, 10 and 48, and trap W39: each can be set from the outside.
#[tokio::test(flavor = "multi_thread")]
async fn limits_tiers_and_types_are_steered() {
    let binary = Binary::alone().await;
    let set = binary.done("limit set tenant-7 --max 1 --rate 10 --burst 20", &[]);
    assert_eq!(set.await, "tenant-7 limited");
    let id = binary.done("job submit nobody --limit tenant-7", &[]).await;
    let job = binary.json("job get", &[&id]).await;
    assert_eq!(job["limits"], json!(["tenant-7"]), "{job}");
    let shown = binary.json("limit get tenant-7", &[]).await;
    let expected = json!({
        "key": "tenant-7", "max": 1, "rate": 10.0, "burst": 20, "holders": 0, "waiting": 0,
        "held_by": [],
    });
    assert_eq!(shown, expected);
    let listed = binary.json("limit list", &[]).await;
    assert_eq!(listed["limits"][0]["key"], "tenant-7");
    let text = binary.done("limit list", &[]).await;
    assert!(text.starts_with("KEY       MAX  RATE  BURST"), "{text}");
    binary.done("limit unset tenant-7", &[]).await;
    let unknown = binary.refused(3, "limit unset tenant-7", &[]).await;
    assert_eq!(unknown, "no limit is declared for `tenant-7`");
    let wrong = binary.refused(2, "limit set k --rate 0", &[]).await;
    assert!(wrong.contains("more than 0"), "{wrong}");

    assert_eq!(binary.done("tier pause normal", &[]).await, "normal paused");
    assert_eq!(
        binary.done("tier pause normal", &[]).await,
        "normal was paused already"
    );
    binary.done("tier set low --rate 2.5", &[]).await;
    let tiers = binary.json("tier list", &[]).await;
    let expected = json!([
        { "tier": "high", "paused": false, "rate": null, "waiting": 0 },
        { "tier": "normal", "paused": true, "rate": null, "waiting": 1 },
        { "tier": "low", "paused": false, "rate": 2.5, "waiting": 0 },
    ]);
    assert_eq!(tiers["tiers"], expected);
    assert_eq!(binary.done("tier resume normal", &[]).await, "normal open");
    binary.done("type pause nobody", &[]).await;
    let types = binary.json("type list", &[]).await;
    let expected = json!([{ "task_type": "nobody", "paused": true, "waiting": 1 }]);
    assert_eq!(types["types"], expected);
    assert_eq!(
        binary.json("type resume nobody", &[]).await,
        json!({ "changed": true })
    );
}
