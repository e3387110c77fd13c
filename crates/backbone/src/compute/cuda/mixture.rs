//! The experts of a decoder block on the GPU. Rows are sorted by expert there,
//! so that nothing waits for the host: grids are for the most tiles that there
//! may be, and blocks without work end at once.

use super::backend::Cuda;
use super::buffer::{Arg, Buffer, Grid};
use super::experts::Experts;
use super::grouped::{ExpertKernels, Places, Source};
use super::matmul::{Direction, Numbers};
use super::tensor::{Stream, Tensor, row_grid};
use crate::compute::{Backend, Computed, Keep, Mixture};

/// Values of a matrix that the kernels address with 32 bits.
const MOST_VALUES: usize = i32::MAX as usize;

/// See [`crate::compute::Backend::Routed`].
pub(crate) struct Routed {
    routes: Routes,
    /// Gate and up values by place, `[places, 2f]`.
    gate_up: Tensor,
}

/// Which experts rows go to.
struct Routes {
    rows: usize,
    /// `[rows, active]`, the largest logit first.
    chosen: Buffer<i32>,
    /// Their weights in the row's sum.
    weights: Buffer<f32>,
    places: Places,
}

impl Cuda {
    /// See [`Backend::mix`].
    pub(crate) fn mix_rows(
        &self,
        weights: &Mixture<'_, Self>,
        x: &mut Stream,
        kept: Keep,
    ) -> Computed<(Option<Routed>, Stream)> {
        let experts = weights.experts;
        let normed = self.rms_norm(x, weights.norm, weights.eps, kept != Keep::Nothing)?;
        let routes = self.route(weights, &normed)?;
        let places = &routes.places;
        let gate_up = (kept == Keep::All)
            .then(|| self.tensor(places.count(), 2 * experts.width))
            .transpose()?;
        let activated = self.tensor(places.count(), experts.width)?;
        let tokens = Source::Tokens(&normed);
        let to = [gate_up.as_ref(), Some(&activated)];
        self.grouped_forward(experts, &experts.gate_up, places, tokens, to)?;
        drop(normed);
        let y = self.tensor(places.count(), experts.hidden)?;
        let activated = Source::Places(&activated);
        self.grouped_forward(experts, &experts.down, places, activated, [Some(&y), None])?;
        let next = self.stream(x.rows, x.columns)?;
        let args = [
            (&next).into(),
            (&*x).into(),
            (&y).into(),
            (&routes.weights).into(),
            (&places.places).into(),
            x.rows.into(),
            experts.active.into(),
            x.columns.into(),
        ];
        let bytes = (8 + 2 * experts.active) * x.len();
        let grid = row_grid(x.rows, x.columns).moving(bytes);
        self.launch_rows("experts_combine", experts, grid, &args)?;
        let routed = gate_up.map(|gate_up| Routed { routes, gate_up });
        Ok((routed, next))
    }

    /// See [`Backend::mix_backward`].
    pub(crate) fn mix_gradients(
        &self,
        weights: &Mixture<'_, Self>,
        dx: Stream,
        x: &Tensor,
        routed: Option<Routed>,
    ) -> Computed<Stream> {
        let Routed { routes, gate_up } = match routed {
            Some(routed) => routed,
            None => self.route_again(weights, x)?,
        };
        assert_eq!(routes.rows, dx.rows, "a gradient for every row");
        let (experts, places) = (weights.experts, &routes.places);
        let (d, f) = (experts.hidden, experts.width);
        let da = self.tensor(places.count(), f)?;
        let dy = Source::Tokens(dx.copy());
        self.grouped_backward(experts, &experts.down, places, dy, &da)?;
        let d_weights = self.gate_gradients(experts, &routes, &gate_up, &da, dx.copy())?;
        drop(da);
        let d_places = self.tensor(places.count(), d)?;
        let d_gate_up = Source::Places(&gate_up);
        self.grouped_backward(experts, &experts.gate_up, places, d_gate_up, &d_places)?;
        drop(gate_up);
        let mut d_normed = self.tensor(dx.rows, d)?;
        let args = [
            (&d_normed).into(),
            (&d_places).into(),
            (&places.places).into(),
            dx.rows.into(),
            experts.active.into(),
            d.into(),
        ];
        let grid = row_grid(dx.rows, d).moving((2 + 2 * experts.active) * dx.len());
        self.launch_rows("experts_combine_backward", experts, grid, &args)?;
        drop(d_places);
        let d_logits = self.tensor(dx.rows, experts.count)?;
        let args = [
            (&d_logits).into(),
            (&d_weights).into(),
            (&routes.weights).into(),
            (&routes.chosen).into(),
            dx.rows.into(),
            experts.count.into(),
            experts.active.into(),
        ];
        let grid = route_grid(dx.rows).moving(2 * d_logits.len());
        self.launch_rows("experts_route_backward", experts, grid, &args)?;
        self.backward_add(weights.router, &d_logits, &mut d_normed)?;
        self.rms_norm_backward(Some(dx), &d_normed, x, weights.norm, weights.eps)
    }

    /// Chooses experts for the normed rows and sorts by them.
    fn route(&self, weights: &Mixture<'_, Self>, normed: &Tensor) -> Computed<Routes> {
        let (device, experts, rows) = (&self.device, weights.experts, normed.rows);
        let (count, entries) = (experts.count, rows * experts.active);
        let kernels = self.expert_kernels(experts.gate_up.packed())?;
        let tile = kernels.tile(entries, count);
        let tile_count = tile.bound(entries, count);
        let widest = experts.hidden.max(2 * experts.width);
        if tile_count * tile.rows * widest > MOST_VALUES {
            let problem = "more than 2^31 values of experts at once; lower the batch";
            return Err(device.error("choosing experts", &problem));
        }
        // f32: rounding would change which expert is the largest.
        let logits = self.logits_of(weights.router, normed)?;
        let to: Arg = (&logits).into();
        self.add_bias(
            weights.router,
            "add_bias_to_stream",
            to,
            rows,
            4 * rows * count,
        )?;
        let routes = Routes {
            rows,
            chosen: device.alloc(entries)?,
            weights: device.alloc(entries)?,
            places: Places {
                tile,
                tile_count,
                tiles: device.alloc(tile_count)?,
                entries: device.alloc(tile_count * tile.rows)?,
                places: device.alloc(entries)?,
            },
        };
        let args = [
            (&routes.chosen).into(),
            (&routes.weights).into(),
            to,
            rows.into(),
            count.into(),
            experts.active.into(),
        ];
        let grid = route_grid(rows).moving(4 * rows * count + 8 * entries);
        self.launch_rows("experts_route", experts, grid, &args)?;
        let places = &routes.places;
        let args = [
            (&places.tiles).into(),
            (&places.entries).into(),
            (&places.places).into(),
            (&routes.chosen).into(),
            entries.into(),
            count.into(),
            tile.rows.into(),
            tile_count.into(),
        ];
        let grid = Grid::new(count, 1024).moving(4 * (2 * entries + places.count()));
        self.launch_rows("experts_group", experts, grid, &args)?;
        Ok(routes)
    }

    /// What the forward pass would have kept.
    fn route_again(&self, weights: &Mixture<'_, Self>, x: &Tensor) -> Computed<Routed> {
        let experts = weights.experts;
        let mut x = self.restore(x)?;
        let normed = self.rms_norm(&mut x, weights.norm, weights.eps, true)?;
        let routes = self.route(weights, &normed)?;
        let gate_up = self.tensor(routes.places.count(), 2 * experts.width)?;
        let (tokens, to) = (Source::Tokens(&normed), [Some(&gate_up), None]);
        self.grouped_forward(experts, &experts.gate_up, &routes.places, tokens, to)?;
        Ok(Routed { routes, gate_up })
    }

    /// Replaces gate and up values by their gradients, given `da` and the rows
    /// `dy`; the gradients of the experts' weights, `[rows, active]`.
    fn gate_gradients(
        &self,
        experts: &Experts,
        routes: &Routes,
        gate_up: &Tensor,
        da: &Tensor,
        dy: &Tensor,
    ) -> Computed<Buffer<f32>> {
        let entries = routes.rows * experts.active;
        let bias_products: Buffer<f32> = self.device.alloc(routes.rows * experts.count)?;
        self.product(
            Direction::Forward,
            &experts.down_bias_rows,
            dy,
            bias_products.address(),
            Numbers::Full,
            None,
        )?;
        let d_weights = self.device.alloc(entries)?;
        let args = [
            gate_up.into(),
            (&d_weights).into(),
            da.into(),
            (&routes.places.entries).into(),
            (&routes.chosen).into(),
            (&routes.weights).into(),
            (&bias_products).into(),
            experts.active.into(),
            experts.count.into(),
            experts.width.into(),
            experts.alpha.into(),
            experts.limit.into(),
        ];
        let grid = Grid::new(routes.places.count(), 128).moving(10 * entries * experts.width);
        self.launch_rows("experts_gate_backward", experts, grid, &args)?;
        Ok(d_weights)
    }

    fn launch_rows(
        &self,
        name: &'static str,
        experts: &Experts,
        grid: Grid,
        args: &[Arg],
    ) -> Computed<()> {
        let kernels: &ExpertKernels = self.expert_kernels(experts.gate_up.packed())?;
        self.device
            .launch_function(name, kernels.rows.get(name), grid, args)
    }
}

/// A warp for each row.
fn route_grid(rows: usize) -> Grid {
    Grid::new(rows.div_ceil(4), 128)
}
