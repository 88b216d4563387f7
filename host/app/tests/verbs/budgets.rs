//! Budgets.

use aiw_app::budgets::{BudgetError, list, remove, set};
use aiw_core::Diagnostic;
use aiw_home::{Budget, BudgetLimit, BudgetPeriod, Home};
use serde_json::json;

use crate::state;

fn budget(name: &str, provider: Option<&str>) -> Budget {
    Budget {
        name: name.into(),
        limit: BudgetLimit::Dollars(20.0),
        period: BudgetPeriod::Day,
        provider: provider.map(Into::into),
        project: None,
        blocks: true,
    }
}

#[test]
fn a_budget_is_set_listed_and_removed_by_its_name() {
    let place = tempfile::tempdir().unwrap();
    let home = Home::from_root(place.path());
    let answer = serde_json::to_value(set(&home, &budget("daily", Some("own"))).unwrap()).unwrap();
    let shown = json!({"name": "daily", "usd": 20.0, "tokens": null, "per": "day", "provider": "own",
        "project": null, "blocks": true, "spent": answer["budget"]["spent"]});
    assert_eq!(answer["budget"], shown);
    let (all, loss) = list(&home).unwrap();
    assert_eq!((serde_json::to_value(&all).unwrap(), loss.is_none()), (json!({"budgets": [shown]}), true));
    let before = state(&home);
    let unknown = remove(&home, "dialy").unwrap_err();
    assert_eq!(unknown.hint().unwrap(), "did you mean `daily`?");
    let no_provider = set(&home, &budget("other", Some("router"))).unwrap_err();
    assert!(matches!(no_provider, BudgetError::ProviderNotFound { .. }), "{no_provider}");
    assert_eq!(no_provider.hint().unwrap(), "`aiw provider add NAME` adds one");
    assert_eq!(state(&home), before);
    remove(&home, "daily").unwrap();
    assert!(list(&home).unwrap().0.budgets.is_empty());
    assert_eq!(remove(&home, "daily").unwrap_err().hint().unwrap(), "`aiw budget set` adds one");
}
