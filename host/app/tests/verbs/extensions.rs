//! Extensions: what a component may do is agreed to before any of it is kept.

use aiw_app::AppError;
use aiw_app::extensions::{add, info};
use aiw_core::PromptError;
use aiw_tests::component;

use crate::person::{Does, Recorded};
use crate::{client, state};

#[tokio::test]
async fn nothing_of_a_component_is_kept_before_the_person_agrees_to_what_it_may_do() {
    let (_place, client) = client();
    let source = component("knowing").display().to_string();
    let (shown, lines, _) = info(&client, &source).await.unwrap();
    assert_eq!((shown.summary.id.as_str(), shown.summary.origin), ("knowing", "candidate"));
    let before = state(client.home());
    for does in [Does::Declines, Does::Absent] {
        let person = Recorded::new(0, does);
        let refused = add(&client, &source, &person, &person).await.unwrap_err();
        assert!(matches!(refused, AppError::Prompt(PromptError::Declined | PromptError::Unsupported)), "{refused}");
        let plan = person.plans.lock().unwrap()[0].clone();
        assert_eq!((plan.question.as_str(), &plan.details), ("Add knowing?", &lines));
        assert!(lines.contains(&"  may:".to_owned()), "{lines:?}");
        assert_eq!(state(client.home()), before);
    }
    let away = Recorded::new(0, Does::Waits);
    tokio::select! {
        biased;
        _ = add(&client, &source, &away, &away) => panic!("it waits"),
        () = async { while away.questions().is_empty() { tokio::task::yield_now().await; } } => {}
    }
    assert_eq!(state(client.home()), before);
}
