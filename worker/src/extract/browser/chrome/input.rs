//! Mouse and keys. Their events come from the browser itself, so pages take them for a person's: menus that open when
//! the mouse is over them, and handlers that ignore what a script made up, work.

use headless_chrome::{browser::tab::point::Point, protocol::cdp::DOM};
use nstore_shared::config::spec::browser::Selector;
use serde_json::{Value, json};

use super::{ChromeError, Seat, seat::evaluation};
use crate::extract::browser::scripts::Script;

/// Where a script leaves the element that the mouse goes to.
const TARGET: &str = "globalThis.nstoreTarget";

/// What the mouse does at an element.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mouse {
    /// It moves there.
    Hover,
    /// It moves there, and its left button is pressed and released.
    Click,
}

impl Seat {
    /// Moves the mouse to an element, once it is there, stays where it is and is not covered, and clicks it where that
    /// is wanted. An element that stays covered, or that a mouse cannot reach, gets the events from a script.
    ///
    /// `input` is the one of a `point` step. An error means that nothing was done.
    pub(crate) fn point(
        &self,
        frame: Option<&Selector>,
        input: &Value,
        mouse: Mouse,
    ) -> Result<(), ChromeError> {
        let found = self.run(frame, Script::Step, input)?;
        let done = match self.place(frame, &found)? {
            Some(point) => {
                let tab = self.tab.borrow().clone();
                let moved = match mouse {
                    Mouse::Hover => tab.move_mouse_to_point(point).map(drop),
                    Mouse::Click => tab.click_point(point).map(drop),
                };
                moved.map_err(|error| self.failed(error))
            }
            None => {
                let input = json!({ "act": "by_script", "clicks": mouse == Mouse::Click });
                self.run(frame, Script::Step, &input).map(drop)
            }
        };
        match done {
            // what was clicked leads to another document
            Err(ChromeError::ContextLost | ChromeError::NoContext) => Ok(()),
            done => done,
        }
    }

    /// The point in the page where the mouse meets the element; `None` where a script has to act.
    fn place(&self, frame: Option<&Selector>, found: &Value) -> Result<Option<Point>, ChromeError> {
        let number = |name: &str| found.get(name).and_then(Value::as_f64);
        let Some((x, y)) = number("x").zip(number("y")) else { return Ok(None) };
        let Some(frame) = frame else { return Ok(Some(Point { x, y })) };
        // a script in a frame does not know where the frame is
        let world = self.world(frame, &Value::Null)?;
        let element = self.call(evaluation(TARGET.to_owned(), Some(world), false))?.result.object_id;
        let quads = self.call(DOM::GetContentQuads {
            node_id: None,
            backend_node_id: None,
            object_id: Some(element.ok_or(ChromeError::ContextLost)?),
        });
        let Some((x, y)) = largest(&quads?.quads) else { return Ok(None) };
        let input = json!({ "act": "is_hit", "selector": frame.0, "x": x, "y": y });
        let is_hit = self.run(None, Script::Step, &input)? == Value::Bool(true);
        Ok(is_hit.then_some(Point { x, y }))
    }

    /// Presses a key in an element, or in the one that has the focus. `input` is the one of a `focus` step.
    pub(crate) fn press(
        &self,
        frame: Option<&Selector>,
        input: &Value,
        key: &str,
    ) -> Result<(), ChromeError> {
        if self.run(frame, Script::Step, input)? != Value::Bool(true) {
            // what takes no focus is told of a key by a script alone
            let input = json!({ "act": "press", "key": key });
            return self.run(frame, Script::Step, &input).map(drop);
        }
        let tab = self.tab.borrow().clone();
        // a letter that keyboards have no key for is typed as it is
        let pressed = match tab.press_key(key) {
            Err(error) if error.to_string().contains("Key not found") => tab.send_character(key).map(drop),
            pressed => pressed.map(drop),
        };
        match pressed.map_err(|error| self.failed(error)) {
            Err(ChromeError::ContextLost | ChromeError::NoContext) => Ok(()),
            pressed => pressed,
        }
    }
}

/// The middle of the largest of some quadrangles, each given by its four corners.
fn largest(quads: &[Vec<f64>]) -> Option<(f64, f64)> {
    let area = |quad: &[f64]| {
        let sum: f64 = (0..4)
            .map(|at| {
                let next = (at + 1) % 4;
                quad[2 * at].mul_add(quad[2 * next + 1], -(quad[2 * next] * quad[2 * at + 1]))
            })
            .sum();
        sum.abs() / 2.0
    };
    let whole = quads.iter().filter(|quad| quad.len() == 8).map(|quad| (area(quad), quad));
    let (_, quad) =
        whole.filter(|(area, _)| *area > 0.0).max_by(|(one, _), (other, _)| one.total_cmp(other))?;
    let middle = |from: usize| quad.iter().skip(from).step_by(2).sum::<f64>() / 4.0;
    Some((middle(0), middle(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mouse_goes_to_the_middle_of_the_largest_part() {
        let square = |x: f64, y: f64, side: f64| vec![x, y, x + side, y, x + side, y + side, x, y + side];
        assert_eq!(largest(&[square(0.0, 0.0, 2.0), square(10.0, 20.0, 4.0)]), Some((12.0, 22.0)));
        assert_eq!(largest(&[square(5.0, 5.0, 0.0)]), None, "what has no area cannot be met");
        assert_eq!(largest(&[vec![1.0, 2.0]]), None);
        assert_eq!(largest(&[]), None);
    }
}
