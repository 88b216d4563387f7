//! Histories of edits on three machines.

use super::*;
use proptest::prelude::*;

/// A step of a history.
#[derive(Debug, Clone)]
enum Step {
    Write(usize, usize, u8),
    Remove(usize, usize),
    Push(usize),
    Pull(usize),
    Undo(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let machine = 0..3usize;
    let file = 0..4usize;
    prop_oneof![
        (machine.clone(), file.clone(), 0..5u8).prop_map(|(machine, file, value)| Step::Write(machine, file, value)),
        (machine.clone(), file).prop_map(|(machine, file)| Step::Remove(machine, file)),
        machine.clone().prop_map(Step::Push),
        machine.clone().prop_map(Step::Pull),
        machine.prop_map(Step::Undo),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, max_shrink_iters: 200, ..ProptestConfig::default() })]

    /// Every file of the machine that pulls is after it what it was, what some other machine wrote, or gone because another
    /// machine removed it; where both differ from all that they had before, it is the machine's own, and a conflict.
    #[test]
    fn no_edit_is_lost_unseen_and_undo_gives_all_bytes_back(steps in proptest::collection::vec(step(), 1..25)) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        runtime.block_on(async {
            let (far, one, other) = two(&[(".claude/rules/0.md", "base\n")]).await;
            let third = Machine::new();
            let phrase = one.home.vault().get(&"sync-phrase".parse().unwrap()).unwrap();
            third.join(far.path(), &phrase).await.unwrap();
            let machines = [one, other, third];
            let name = |file: usize| format!(".claude/rules/{file}.md");
            let all = |machine: &Machine| -> BTreeMap<usize, Option<String>> {
                (0..4).map(|file| (file, machine.read(&name(file)))).collect()
            };
            machines[2].pull().await;
            // Each file as it was when others last knew it. One that differs is an edit.
            let mut clean: Vec<BTreeMap<usize, Option<String>>> = machines.iter().map(all).collect();
            for step in steps {
                match step {
                    Step::Write(machine, file, value) => {
                        machines[machine].write(&name(file), &format!("{value}\n"));
                    }
                    Step::Remove(machine, file) => {
                        let _ = fs::remove_file(machines[machine].path(&name(file)));
                    }
                    Step::Push(machine) => match machines[machine].push_all().await {
                        Ok(_) => clean[machine] = all(&machines[machine]),
                        Err(SyncError::UnmergedChanges { .. } | SyncError::UnresolvedConflicts { .. } | SyncError::PermissionsWidened) => {}
                        Err(e) => panic!("{e}"),
                    },
                    Step::Pull(machine) => {
                        let before = all(&machines[machine]);
                        let pulled = machines[machine].pull().await;
                        let after = all(&machines[machine]);
                        for file in 0..4 {
                            if before[&file] != after[&file] {
                                // An edit that was never pushed is changed by nobody.
                                prop_assert_eq!(&before[&file], &clean[machine][&file], "{} of {}: {:?}", file, machine, after);
                                clean[machine].insert(file, after[&file].clone());
                            }
                        }
                        if pulled.applied {
                            prop_assert!(machines[machine].sync().undo().is_ok());
                            prop_assert_eq!(&all(&machines[machine]), &before);
                            machines[machine].pull().await;
                            prop_assert_eq!(&all(&machines[machine]), &after);
                        }
                    }
                    Step::Undo(machine) => {
                        // What it gives back is offered again, or is an edit from now on.
                        let undone = machines[machine].sync().undo().map(|undone| undone.files).unwrap_or_default();
                        let is_undone = |file: &usize| undone.contains(&format!("claude:rules/{file}.md"));
                        let now = all(&machines[machine]);
                        clean[machine].extend(now.into_iter().filter(|(file, _)| is_undone(file)));
                    }
                }
            }
            // In the end, all meet: what is in conflict is decided, and then all have the same.
            for machine in machines.iter().chain(&machines).chain(&machines) {
                machine.pull_with(&Person::who_answers(&[1; 20])).await;
                machine.push_all().await.unwrap();
            }
            for machine in &machines {
                machine.pull_with(&Person::who_answers(&[2; 20])).await;
                prop_assert_eq!(all(machine), all(&machines[2]));
            }
            Ok(())
        })?;
    }
}
