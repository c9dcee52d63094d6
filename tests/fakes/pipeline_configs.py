"""A pipeline config as the first edition of the tutorial leaves it, with a field that no program of ours knows."""

SSD_CONFIG = """# SSD with Inception v2
model {
  ssd {
    num_classes: 2  # two labels
    box_coder { faster_rcnn_box_coder { y_scale: 10.0 } }
    anchor_generator { ssd_anchor_generator { num_layers: 6 aspect_ratios: [1.0, 2.0] } }
    image_resizer { fixed_shape_resizer { height: 300 width: 300 } }
    feature_extractor { type: 'ssd_inception_v2' conv_hyperparams { activation: RELU_6 } }
  }
}
train_config: {
  batch_size: 24
  optimizer {
    rms_prop_optimizer: {
      learning_rate { exponential_decay_learning_rate { initial_learning_rate: 0.004 decay_steps: 800720 } }
      momentum_optimizer_value: 0.9
    }
  }
  fine_tune_checkpoint: "pre-trained-model/"
                        "model.ckpt"
  from_detection_checkpoint: true
  num_steps: 200000
  data_augmentation_options { random_horizontal_flip { } }
  data_augmentation_options { ssd_random_crop { } }
}
train_input_reader: {
  tf_record_input_reader { input_path: "annotations/train.record" }
  label_map_path: "annotations/label_map.pbtxt"
}
eval_config: { num_examples: 6 max_evals: 10 }
eval_input_reader: {
  tf_record_input_reader { input_path: "annotations/test.record" }
  label_map_path: "annotations/label_map.pbtxt"
  shuffle: false
}
"""
