"""What is being done with needle and suture: the eight actions of SAR-RARP50."""

from __future__ import annotations

from cotgen.tasks.choice import ChoiceTask

OPEN = (
    "What is being done with needle and suture in this radical prostatectomy image?",
    "Which suturing action is under way?",
    "Which action with needle or suture is shown?",
    "Name the suturing action in this image.",
    "What is happening with needle and suture at this moment?",
    "Which needle or suture action does this view show?",
    "State the suturing action.",
    "Identify the action with needle and suture.",
    "In this image, which suturing action is going on?",
    "What is the current action with needle and suture?",
    "Which part of suturing is being carried out?",
    "Give the name of the suturing action in this picture.",
    "Looking at this view, what is being done with needle and suture?",
    "Tell which suturing action this is.",
    "What action of suturing is in progress?",
)
CHOICE = (
    "Which of these suturing actions is shown?",
    "Which of the following is being done with needle and suture?",
    "Choose the suturing action that this image shows.",
    "From the actions listed, choose the one shown here.",
    "Which option names what is being done with needle and suture?",
    "Which one of the listed actions is under way?",
    "Select the suturing action that is in progress.",
    "Which of these actions is going on?",
    "Of the actions below, which is the current one?",
    "Pick the suturing action from the list.",
    "Which option gives the current action?",
    "Among the actions below, which one does this image show?",
    "One of the following actions is shown. Which one?",
    "Match this view to one of the actions below.",
    "Which of the suturing actions listed is being carried out?",
)
ACTION = ChoiceTask("action", "action", OPEN, CHOICE)
