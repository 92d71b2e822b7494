import Circle from 'ol/geom/Circle.js';
import type Polygon from 'ol/geom/Polygon.js';
import { fromCircle } from 'ol/geom/Polygon.js';
import type SimpleGeometry from 'ol/geom/SimpleGeometry.js';
import Draw, { createBox, createRegularPolygon, type GeometryFunction } from 'ol/interaction/Draw.js';
import type VectorSource from 'ol/source/Vector.js';
import CircleStyle from 'ol/style/Circle.js';
import Fill from 'ol/style/Fill.js';
import Stroke from 'ol/style/Stroke.js';
import Style from 'ol/style/Style.js';
import { handTime } from '../../hand-time.js';
import { isSpaceHeld } from '../held-space.js';
import type { VectorConfig } from '../layers/vector-config.js';

/** What is dragged from one point to another. */
const FROM_CORNERS: Readonly<Record<string, (() => GeometryFunction) | undefined>> = {
  Rectangle: createBox,
  Square: () => createRegularPolygon(4),
  Ellipse: () => ellipse,
};

/** The one that fills the box between two corners. */
function ellipse(corners: unknown, present?: SimpleGeometry): Polygon {
  const [[xa, ya], [xb, yb]] = corners as [[number, number], [number, number]];
  const centre = [(xa + xb) / 2, (ya + yb) / 2];
  const round = fromCircle(new Circle(centre, 1), 64);
  round.scale(Math.abs(xb - xa) / 2, Math.abs(yb - ya) / 2, centre);
  present?.setCoordinates(round.getCoordinates());
  return (present as Polygon | undefined) ?? round;
}

/**
 * Drawing as Kaibu does it: a point is a click; a rectangle is a drag and a polygon a free stroke while `draw_freehand` is
 * on; otherwise click by click. Ctrl, Shift and Alt clicks draw nothing. Unlike Kaibu, only the primary button draws, and
 * there is an ellipse, dragged from corner to corner.
 */
export function drawInteraction(source: VectorSource, config: VectorConfig): Draw {
  const name = config.draw_shape_type.charAt(0).toUpperCase() + config.draw_shape_type.slice(1);
  const boxed = FROM_CORNERS[name]?.();
  const type = boxed ? 'Circle' : name === 'Star' || name === 'PolygonCutter' ? 'LineString' : name;
  const plain = (event: { originalEvent: MouseEvent | KeyboardEvent | WheelEvent }) => {
    const { altKey, ctrlKey, metaKey, shiftKey } = event.originalEvent;
    const button = 'button' in event.originalEvent ? event.originalEvent.button : 0;
    return button <= 0 && !isSpaceHeld() && !(altKey || ctrlKey || metaKey || shiftKey);
  };
  const freehand = config.draw_freehand && name !== 'Point';
  const stroke = new Stroke({ color: config.draw_edge_color, width: config.draw_edge_width });
  const fill = new Fill({ color: config.draw_face_color });
  const draw = new Draw({
    source,
    type: type as 'Point' | 'Circle' | 'Polygon' | 'LineString',
    geometryFunction: boxed,
    // Not the option `freehand`, for which OpenLayers asks no condition.
    condition: plain,
    freehandCondition: freehand ? plain : () => false,
    style: new Style({ stroke, fill, image: new CircleStyle({ radius: 4, stroke }) }),
  });
  // Before the feature reaches the source, so that the add callback sees its properties.
  draw.on('drawend', ({ feature }) => {
    feature.setProperties({
      drawn_at: handTime(),
      label: config.draw_label,
      size: config.draw_size,
      edge_color: config.draw_edge_color,
      edge_width: config.draw_edge_width,
      face_color: config.draw_face_color,
    });
  });
  return draw;
}
