import type { FeatureLike } from 'ol/Feature.js';
import CircleStyle from 'ol/style/Circle.js';
import Fill from 'ol/style/Fill.js';
import RegularShape from 'ol/style/RegularShape.js';
import Stroke from 'ol/style/Stroke.js';
import Style from 'ol/style/Style.js';
import Text from 'ol/style/Text.js';
import { FEATURE_DEFAULTS } from './vector-config.js';

const HALO = 'rgba(0, 0, 0, 0.55)';
const SELECTED = '#ffffff';

/** Inside a point, so that positive and negative ones differ by more than their colour: a plus and a minus. */
const SIGNS: Readonly<Record<string, { points: number; angle: number; radius2?: number }>> = {
  positive: { points: 4, angle: 0, radius2: 0 },
  negative: { points: 2, angle: Math.PI / 2 },
};

/** Kaibu's feature properties as OpenLayers styles, with a dark halo so that markers show on any image. */
export function featureStyle(
  feature: FeatureLike,
  resolution: number,
  placement: string | null,
  selected: boolean,
): Style[] {
  const size = Number(feature.get('size') || FEATURE_DEFAULTS.size);
  const color = String(feature.get('edge_color') || FEATURE_DEFAULTS.edge_color);
  const width = Number(feature.get('edge_width') || FEATURE_DEFAULTS.edge_width);
  const face = String(feature.get('face_color') || FEATURE_DEFAULTS.face_color);
  const label = feature.get('label');
  const radius = Math.min(Math.max(size / resolution ** (1 / 3), 4), 14);
  const ring = (stroke: string, strokeWidth: number, fill?: string) =>
    new CircleStyle({
      radius,
      stroke: new Stroke({ color: stroke, width: strokeWidth }),
      fill: fill ? new Fill({ color: fill }) : undefined,
    });
  const styles = [
    new Style({ stroke: new Stroke({ color: HALO, width: width + 2 }), image: ring(HALO, width + 2) }),
    new Style({
      stroke: new Stroke({ color, width }),
      fill: new Fill({ color: face }),
      image: ring(color, width, face),
      text:
        placement && label
          ? new Text({
              placement: placement as 'point' | 'line',
              text: String(label),
              font: '13px system-ui, sans-serif',
              offsetY: 12,
              fill: new Fill({ color: '#fff' }),
              stroke: new Stroke({ color: '#000', width: 3 }),
            })
          : undefined,
    }),
  ];
  const sign = SIGNS[String(label)];
  if (sign)
    for (const [stroke, strokeWidth] of [
      [HALO, width + 1.5],
      [color, width - 0.5],
    ] as const)
      styles.push(
        new Style({
          image: new RegularShape({
            ...sign,
            radius: radius * 0.6,
            stroke: new Stroke({ color: stroke, width: strokeWidth }),
          }),
        }),
      );
  if (selected)
    styles.push(
      new Style({
        stroke: new Stroke({ color: SELECTED, width: 1.5, lineDash: [4, 4] }),
        image: new CircleStyle({ radius: radius + 4, stroke: new Stroke({ color: SELECTED, width: 1.5 }) }),
      }),
    );
  return styles;
}
